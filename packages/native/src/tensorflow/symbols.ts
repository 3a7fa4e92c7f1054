/**
 * The functions of TensorFlow's C API that the addon of `@tensorflow/tfjs-node` 4.22.0 calls: the undefined symbols of
 * its object files. A TensorFlow that lacks one of them cannot be linked.
 */
export const requiredSymbols: readonly string[] = [
  ..."ContextListDevices DeleteContext DeleteContextOptions DeleteOp DeleteTensorHandle Execute NewContext".split(
    " ",
  ),
  ..."NewContextOptions NewOp NewTensorHandle OpAddInput OpSetAttrBool OpSetAttrBoolList OpSetAttrFloat".split(
    " ",
  ),
  ..."OpSetAttrFloatList OpSetAttrInt OpSetAttrIntList OpSetAttrShape OpSetAttrString OpSetAttrType".split(
    " ",
  ),
  ..."TensorHandleCopyToDevice TensorHandleDataType TensorHandleDim TensorHandleNumDims".split(" "),
  "TensorHandleResolve",
]
  .map((name) => `TFE_${name}`)
  .concat(
    [
      ..."AllocateTensor DataTypeSize DeleteBuffer DeleteDeviceList DeleteGraph DeleteSession".split(
        " ",
      ),
      ..."DeleteSessionOptions DeleteStatus DeleteTensor DeviceListCount DeviceListName DeviceListType Dim".split(
        " ",
      ),
      ..."GetCode GraphOperationByName LoadSessionFromSavedModel Message NewBuffer NewBufferFromString".split(
        " ",
      ),
      ..."NewGraph NewSessionOptions NewStatus NewTensor NumDims SessionRun TensorByteSize TensorData".split(
        " ",
      ),
      ..."TensorElementCount TensorType Version".split(" "),
    ].map((name) => `TF_${name}`),
  );
