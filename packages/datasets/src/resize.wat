;; The two passes of a resize of colour images, with weights of 22 binary places (`resize-taps.ts`). Sums
;; begin with a half. Each loop runs at least once. `npm run build:wasm` writes `resize.wasm.ts`.
(module
  (memory (export "memory") 1)

  ;; One line of pixels. `starts` are byte offsets into the line, `counts` the bytes of an output's
  ;; weights, `stride` the bytes between two outputs' weights; `end` is where `target` ends.
  (func (export "columns")
    (param $source i32) (param $target i32) (param $end i32) (param $starts i32) (param $counts i32)
    (param $weights i32) (param $stride i32)
    (local $from i32) (local $weight i32) (local $last i32) (local $sum v128)
    (loop $output
      (local.set $sum (i32x4.splat (i32.const 2097152)))
      (local.set $from (i32.add (local.get $source) (i32.load (local.get $starts))))
      (local.set $weight (local.get $weights))
      (local.set $last (i32.add (local.get $weights) (i32.load (local.get $counts))))
      (loop $tap
        (local.set $sum
          (i32x4.add
            (local.get $sum)
            (i32x4.mul
              (i32x4.extend_low_i16x8_u
                (i16x8.extend_low_i8x16_u (v128.load32_zero align=1 (local.get $from))))
              (v128.load32_splat (local.get $weight)))))
        (local.set $from (i32.add (local.get $from) (i32.const 3)))
        (local.set $weight (i32.add (local.get $weight) (i32.const 4)))
        (br_if $tap (i32.lt_u (local.get $weight) (local.get $last))))
      (local.set $sum (i32x4.shr_s (local.get $sum) (i32.const 22)))
      (local.set $sum (i16x8.narrow_i32x4_s (local.get $sum) (local.get $sum)))
      (i32.store align=1
        (local.get $target)
        (i32x4.extract_lane 0 (i8x16.narrow_i16x8_u (local.get $sum) (local.get $sum))))
      (local.set $target (i32.add (local.get $target) (i32.const 3)))
      (local.set $starts (i32.add (local.get $starts) (i32.const 4)))
      (local.set $counts (i32.add (local.get $counts) (i32.const 4)))
      (local.set $weights (i32.add (local.get $weights) (local.get $stride)))
      (br_if $output (i32.lt_u (local.get $target) (local.get $end)))))

  ;; One line of the result, 16 bytes at a time, from the lines at `source`, `line` bytes apart, with the
  ;; weights from `weights` to `last`.
  (func (export "rows")
    (param $source i32) (param $target i32) (param $end i32) (param $weights i32) (param $last i32)
    (param $line i32)
    (local $from i32) (local $weight i32) (local $bytes v128) (local $factor v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (loop $block
      (local.set $a (i32x4.splat (i32.const 2097152)))
      (local.set $b (local.get $a))
      (local.set $c (local.get $a))
      (local.set $d (local.get $a))
      (local.set $from (local.get $source))
      (local.set $weight (local.get $weights))
      (loop $tap
        (local.set $bytes (v128.load align=1 (local.get $from)))
        (local.set $factor (v128.load32_splat (local.get $weight)))
        (local.set $a
          (i32x4.add
            (local.get $a)
            (i32x4.mul
              (i32x4.extend_low_i16x8_u (i16x8.extend_low_i8x16_u (local.get $bytes)))
              (local.get $factor))))
        (local.set $b
          (i32x4.add
            (local.get $b)
            (i32x4.mul
              (i32x4.extend_high_i16x8_u (i16x8.extend_low_i8x16_u (local.get $bytes)))
              (local.get $factor))))
        (local.set $c
          (i32x4.add
            (local.get $c)
            (i32x4.mul
              (i32x4.extend_low_i16x8_u (i16x8.extend_high_i8x16_u (local.get $bytes)))
              (local.get $factor))))
        (local.set $d
          (i32x4.add
            (local.get $d)
            (i32x4.mul
              (i32x4.extend_high_i16x8_u (i16x8.extend_high_i8x16_u (local.get $bytes)))
              (local.get $factor))))
        (local.set $from (i32.add (local.get $from) (local.get $line)))
        (local.set $weight (i32.add (local.get $weight) (i32.const 4)))
        (br_if $tap (i32.lt_u (local.get $weight) (local.get $last))))
      (v128.store align=1
        (local.get $target)
        (i8x16.narrow_i16x8_u
          (i16x8.narrow_i32x4_s
            (i32x4.shr_s (local.get $a) (i32.const 22))
            (i32x4.shr_s (local.get $b) (i32.const 22)))
          (i16x8.narrow_i32x4_s
            (i32x4.shr_s (local.get $c) (i32.const 22))
            (i32x4.shr_s (local.get $d) (i32.const 22)))))
      (local.set $source (i32.add (local.get $source) (i32.const 16)))
      (local.set $target (i32.add (local.get $target) (i32.const 16)))
      (br_if $block (i32.lt_u (local.get $target) (local.get $end))))))
