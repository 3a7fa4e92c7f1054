#!/bin/sh
# Unpacks the parts that lie beside it into a folder beside it (once for each part), and runs the proof there.
# usage: sh prove.sh [options of prove-gpu.mjs]      DMAE_APP=DIR unpacks into another folder
set -eu
here=$(cd "$(dirname "$0")" && pwd)
app=${DMAE_APP:-$here/app}
mkdir -p "$app"

expand() { # name, files: an archive in the order of its pieces
  name=$1; shift
  [ -e "$app/.$name" ] && return 0
  echo "unpacking $name"
  case $name in
    *.tar) cat "$@" | tar -xf - -C "$app" ;;
    *) if command -v xz >/dev/null; then cat "$@" | xz -dc -T0 | tar -xf - -C "$app"
       else cat "$@" | python3 -c 'import lzma,shutil,sys; shutil.copyfileobj(lzma.open(sys.stdin.buffer), sys.stdout.buffer, 1 << 20)' | tar -xf - -C "$app"
       fi ;;
  esac
  touch "$app/.$name"
}

[ -e "$here/1-webgpu.tar.xz" ] && expand 1-webgpu.tar.xz "$here/1-webgpu.tar.xz"
[ -e "$here/2-images.tar" ] && expand 2-images.tar "$here/2-images.tar"
# Pieces: unpacked when the last one, the only one below 60 MiB, is there.
for name in 3-cuda.tar.xz 5-cifar.tar.xz; do
  last=$(ls "$here/$name".* 2>/dev/null | tail -n 1)
  if [ -n "$last" ] && [ "$(wc -c < "$last")" -lt 62914560 ]; then expand "$name" "$here/$name".*; fi
done
[ -e "$here/4-nvrtc.tar.xz" ] && expand 4-nvrtc.tar.xz "$here/4-nvrtc.tar.xz"
cd "$app"
exec env LD_LIBRARY_PATH="$app/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" ./node scripts/prove-gpu.mjs "$@"
