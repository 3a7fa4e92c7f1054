;; The inner loops of all draws, with vector instructions: operation by operation as in `../kernels.ts`,
;; `../philox.ts` and `../box-muller.ts`, so that the bits are theirs. Memory (`layout.ts`), for up to 512
;; blocks: four arrays of words from 0, values (float64) from 8192, means (float32) from 16384, results
;; (float32) from 20480. Each loop runs at least once. `npm run build:wasm` writes `draws.wasm.ts`.
(module
  (memory (export "memory") 1)

  ;; Constants of both lanes. Mutable, so that engines read them: Node 24 builds an immutable one anew in
  ;; each turn of a loop. The polynomials are those of `../polynomials.ts`.
  (global $two21 (mut v128) (v128.const f64x2 2097152 2097152))
  (global $half (mut v128) (v128.const f64x2 0.5 0.5))
  (global $two-53 (mut v128) (v128.const f64x2 1.1102230246251565e-16 1.1102230246251565e-16))
  (global $two32 (mut v128) (v128.const f64x2 4294967296 4294967296))
  (global $two-64 (mut v128) (v128.const f64x2 5.421010862427522e-20 5.421010862427522e-20))
  (global $one (mut v128) (v128.const f64x2 1 1))
  (global $two (mut v128) (v128.const f64x2 2 2))
  (global $minus-two (mut v128) (v128.const f64x2 -2 -2))
  (global $zero-exponent (mut v128) (v128.const f64x2 4503599627371519 4503599627371519))
  (global $ln2 (mut v128) (v128.const f64x2 0.6931471805599453 0.6931471805599453))
  (global $two-32 (mut v128) (v128.const f64x2 2.3283064365386963e-10 2.3283064365386963e-10))
  (global $two-62 (mut v128) (v128.const f64x2 2.168404344971009e-19 2.168404344971009e-19))
  (global $log0 (mut v128) (v128.const f64x2 0.666666666666667 0.666666666666667))
  (global $log1 (mut v128) (v128.const f64x2 0.399999999998995 0.399999999998995))
  (global $log2 (mut v128) (v128.const f64x2 0.2857142862597826 0.2857142862597826))
  (global $log3 (mut v128) (v128.const f64x2 0.22222211134341624 0.22222211134341624))
  (global $log4 (mut v128) (v128.const f64x2 0.18182889158299903 0.18182889158299903))
  (global $log5 (mut v128) (v128.const f64x2 0.15331720502376558 0.15331720502376558))
  (global $log6 (mut v128) (v128.const f64x2 0.1461646325895801 0.1461646325895801))
  (global $sin0 (mut v128) (v128.const f64x2 1.5707963267948966 1.5707963267948966))
  (global $sin1 (mut v128) (v128.const f64x2 -0.6459640975062443 -0.6459640975062443))
  (global $sin2 (mut v128) (v128.const f64x2 0.07969262624604301 0.07969262624604301))
  (global $sin3 (mut v128) (v128.const f64x2 -0.004681754132340976 -0.004681754132340976))
  (global $sin4 (mut v128) (v128.const f64x2 0.0001604411507421909 0.0001604411507421909))
  (global $sin5 (mut v128) (v128.const f64x2 -3.59864335298231e-06 -3.59864335298231e-06))
  (global $sin6 (mut v128) (v128.const f64x2 5.633933781537854e-08 5.633933781537854e-08))
  (global $cos1 (mut v128) (v128.const f64x2 -1.2337005501361697 -1.2337005501361697))
  (global $cos2 (mut v128) (v128.const f64x2 0.2536695079010467 0.2536695079010467))
  (global $cos3 (mut v128) (v128.const f64x2 -0.02086348076331121 -0.02086348076331121))
  (global $cos4 (mut v128) (v128.const f64x2 0.0009192602741831558 0.0009192602741831558))
  (global $cos5 (mut v128) (v128.const f64x2 -2.520203677046026e-05 -2.520203677046026e-05))
  (global $cos6 (mut v128) (v128.const f64x2 4.710609726757823e-07 4.710609726757823e-07))
  (global $cos7 (mut v128) (v128.const f64x2 -6.321256869628588e-09 -6.321256869628588e-09))
  (global $to-one (mut v128) (v128.const i64x2 0x0009_5f62_0000_0000 0x0009_5f62_0000_0000))
  (global $fraction-bits (mut v128) (v128.const i64x2 0x000f_ffff_ffff_ffff 0x000f_ffff_ffff_ffff))
  (global $half-root (mut v128) (v128.const i64x2 0x3fe6_a09e_0000_0000 0x3fe6_a09e_0000_0000))
  (global $two52 (mut v128) (v128.const i64x2 0x4330_0000_0000_0000 0x4330_0000_0000_0000))
  (global $sign-bit (mut v128) (v128.const i64x2 0x8000_0000_0000_0000 0x8000_0000_0000_0000))

  ;; Philox4x32-10 for four blocks at a time; word j of block i lies at 4 (512 j + i).
  (func (export "words")
    (param $key0 i32) (param $key1 i32) (param $domain i32) (param $index0 i32) (param $index1 i32)
    (param $first i32) (param $blocks i32)
    (local $i i32) (local $at i32) (local $round i32)
    (local $k0 v128) (local $k1 v128) (local $w0 v128) (local $w1 v128)
    (local $x0 v128) (local $x1 v128) (local $x2 v128) (local $x3 v128)
    (local $low0 v128) (local $high0 v128) (local $low1 v128) (local $high1 v128)
    (local $m0 v128) (local $m1 v128)
    (local.set $w0 (i32x4.splat (i32.const 0x9e3779b9)))
    (local.set $w1 (i32x4.splat (i32.const 0xbb67ae85)))
    (local.set $m0 (i32x4.splat (i32.const 0xd2511f53)))
    (local.set $m1 (i32x4.splat (i32.const 0xcd9e8d57)))
    (loop $next
      (local.set $x0
        (i32x4.add
          (i32x4.splat (i32.add (local.get $first) (local.get $i)))
          (v128.const i32x4 0 1 2 3)))
      (local.set $x1 (i32x4.splat (local.get $domain)))
      (local.set $x2 (i32x4.splat (local.get $index0)))
      (local.set $x3 (i32x4.splat (local.get $index1)))
      (local.set $k0 (i32x4.splat (local.get $key0)))
      (local.set $k1 (i32x4.splat (local.get $key1)))
      (local.set $round (i32.const 10))
      (loop $rounds
        ;; Products of four lanes come in two halves: high words become one vector, low words another.
        (local.set $low0 (i64x2.extmul_low_i32x4_u (local.get $x0) (local.get $m0)))
        (local.set $high0 (i64x2.extmul_high_i32x4_u (local.get $x0) (local.get $m0)))
        (local.set $low1 (i64x2.extmul_low_i32x4_u (local.get $x2) (local.get $m1)))
        (local.set $high1 (i64x2.extmul_high_i32x4_u (local.get $x2) (local.get $m1)))
        (local.set $x0
          (v128.xor
            (v128.xor
              (i8x16.shuffle 4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31
                (local.get $low1) (local.get $high1))
              (local.get $x1))
            (local.get $k0)))
        (local.set $x1
          (i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27
            (local.get $low1) (local.get $high1)))
        (local.set $x2
          (v128.xor
            (v128.xor
              (i8x16.shuffle 4 5 6 7 12 13 14 15 20 21 22 23 28 29 30 31
                (local.get $low0) (local.get $high0))
              (local.get $x3))
            (local.get $k1)))
        (local.set $x3
          (i8x16.shuffle 0 1 2 3 8 9 10 11 16 17 18 19 24 25 26 27
            (local.get $low0) (local.get $high0)))
        (local.set $k0 (i32x4.add (local.get $k0) (local.get $w0)))
        (local.set $k1 (i32x4.add (local.get $k1) (local.get $w1)))
        (local.set $round (i32.sub (local.get $round) (i32.const 1)))
        (br_if $rounds (local.get $round)))
      (local.set $at (i32.mul (local.get $i) (i32.const 4)))
      (v128.store offset=0 (local.get $at) (local.get $x0))
      (v128.store offset=2048 (local.get $at) (local.get $x1))
      (v128.store offset=4096 (local.get $at) (local.get $x2))
      (v128.store offset=6144 (local.get $at) (local.get $x3))
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $blocks)))))

  ;; 53-bit uniforms, two blocks at a time; 1/2 stands in for 0.
  (func (export "uniforms") (param $blocks i32)
    (local $i i32) (local $at i32) (local $a v128) (local $b v128)
    (loop $next
      (local.set $at (i32.mul (local.get $i) (i32.const 4)))
      (local.set $a
        (f64x2.mul
          (f64x2.max
            (f64x2.add
              (f64x2.mul
                (f64x2.convert_low_i32x4_u (v128.load64_zero offset=0 (local.get $at)))
                (global.get $two21))
              (f64x2.convert_low_i32x4_u
                (i32x4.shr_u (v128.load64_zero offset=2048 (local.get $at)) (i32.const 11))))
            (global.get $half))
          (global.get $two-53)))
      (local.set $b
        (f64x2.mul
          (f64x2.max
            (f64x2.add
              (f64x2.mul
                (f64x2.convert_low_i32x4_u (v128.load64_zero offset=4096 (local.get $at)))
                (global.get $two21))
              (f64x2.convert_low_i32x4_u
                (i32x4.shr_u (v128.load64_zero offset=6144 (local.get $at)) (i32.const 11))))
            (global.get $half))
          (global.get $two-53)))
      (local.set $at (i32.mul (local.get $i) (i32.const 16)))
      (v128.store offset=8192 (local.get $at)
        (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $a) (local.get $b)))
      (v128.store offset=8208 (local.get $at)
        (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $a) (local.get $b)))
      (local.set $i (i32.add (local.get $i) (i32.const 2)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $blocks)))))

  ;; Standard normals by the Box-Muller transform, two blocks at a time.
  (func (export "normals") (param $blocks i32)
    (local $i i32) (local $at i32) (local $a v128) (local $b v128)
    (local $shifted v128) (local $f v128) (local $s v128) (local $z v128) (local $z2 v128)
    (local $z4 v128) (local $r v128) (local $radius v128) (local $turn v128) (local $g v128) (local $sine v128)
    (local $cosine v128) (local $sign v128) (local $swap v128)
    (loop $next
      (local.set $at (i32.mul (local.get $i) (i32.const 4)))
      ;; u from words 0 and 1; its bits, moved so that the exponent changes at sqrt(1/2)
      (local.set $shifted
        (i64x2.add
          (f64x2.mul
            (f64x2.add
              (f64x2.mul
                (f64x2.convert_low_i32x4_u (v128.load64_zero offset=0 (local.get $at)))
                (global.get $two32))
              (f64x2.add
                (f64x2.convert_low_i32x4_u (v128.load64_zero offset=2048 (local.get $at)))
                (global.get $half)))
            (global.get $two-64))
          (global.get $to-one)))
      (local.set $f
        (f64x2.sub
          (i64x2.add
            (v128.and (local.get $shifted) (global.get $fraction-bits))
            (global.get $half-root))
          (global.get $one)))
      (local.set $s (f64x2.div (local.get $f) (f64x2.add (global.get $two) (local.get $f))))
      (local.set $z (f64x2.mul (local.get $s) (local.get $s)))
      (local.set $z2 (f64x2.mul (local.get $z) (local.get $z)))
      (local.set $z4 (f64x2.mul (local.get $z2) (local.get $z2)))
      (local.set $r
        (f64x2.mul
          (local.get $z)
          (f64x2.add
            (f64x2.add
              (f64x2.add (global.get $log0) (f64x2.mul (global.get $log1) (local.get $z)))
              (f64x2.mul
                (f64x2.add (global.get $log2) (f64x2.mul (global.get $log3) (local.get $z)))
                (local.get $z2)))
            (f64x2.mul
              (f64x2.add
                (f64x2.add (global.get $log4) (f64x2.mul (global.get $log5) (local.get $z)))
                (f64x2.mul
                  (global.get $log6)
                  (local.get $z2)))
              (local.get $z4)))))
      ;; the exponent's bits below those of 2^52 make the number 2^52 + exponent
      (local.set $radius
        (f64x2.sqrt
          (f64x2.mul
            (global.get $minus-two)
            (f64x2.add
              (f64x2.mul
                (f64x2.sub
                  (v128.or
                    (i64x2.shr_u (local.get $shifted) (i32.const 52))
                    (global.get $two52))
                  (global.get $zero-exponent))
                (global.get $ln2))
              (f64x2.sub
                (local.get $f)
                (f64x2.mul (local.get $s) (f64x2.sub (local.get $f) (local.get $r))))))))
      ;; the angle (quarter + g) pi / 2 from words 2 and 3
      (local.set $turn (v128.load64_zero offset=4096 (local.get $at)))
      (local.set $g
        (f64x2.add
          (f64x2.mul
            (f64x2.convert_low_i32x4_s (i32x4.shl (local.get $turn) (i32.const 2)))
            (global.get $two-32))
          (f64x2.mul
            (f64x2.add
              (f64x2.convert_low_i32x4_u (v128.load64_zero offset=6144 (local.get $at)))
              (global.get $half))
            (global.get $two-62))))
      (local.set $z (f64x2.mul (local.get $g) (local.get $g)))
      (local.set $z2 (f64x2.mul (local.get $z) (local.get $z)))
      (local.set $z4 (f64x2.mul (local.get $z2) (local.get $z2)))
      (local.set $sine
        (f64x2.mul
          (local.get $radius)
          (f64x2.mul
            (local.get $g)
            (f64x2.add
              (f64x2.add
                (f64x2.add (global.get $sin0) (f64x2.mul (global.get $sin1) (local.get $z)))
                (f64x2.mul
                  (f64x2.add (global.get $sin2) (f64x2.mul (global.get $sin3) (local.get $z)))
                  (local.get $z2)))
              (f64x2.mul
                (f64x2.add
                  (f64x2.add (global.get $sin4) (f64x2.mul (global.get $sin5) (local.get $z)))
                  (f64x2.mul
                    (global.get $sin6)
                    (local.get $z2)))
                (local.get $z4))))))
      (local.set $cosine
        (f64x2.mul
          (local.get $radius)
          (f64x2.add
            (f64x2.add
              (f64x2.add (global.get $one) (f64x2.mul (global.get $cos1) (local.get $z)))
              (f64x2.mul
                (f64x2.add (global.get $cos2) (f64x2.mul (global.get $cos3) (local.get $z)))
                (local.get $z2)))
            (f64x2.mul
              (f64x2.add
                (f64x2.add (global.get $cos4) (f64x2.mul (global.get $cos5) (local.get $z)))
                (f64x2.mul
                  (f64x2.add (global.get $cos6) (f64x2.mul (global.get $cos7) (local.get $z)))
                  (local.get $z2)))
              (local.get $z4)))))
      ;; the quarter, in the top bits of word 2, negates and swaps
      (local.set $turn (i64x2.extend_low_i32x4_u (local.get $turn)))
      (local.set $sign (i64x2.shl (local.get $turn) (i32.const 32)))
      (local.set $swap (i64x2.shl (local.get $turn) (i32.const 33)))
      (local.set $cosine
        (v128.xor
          (local.get $cosine)
          (v128.and (local.get $sign) (global.get $sign-bit))))
      (local.set $sine
        (v128.xor
          (local.get $sine)
          (v128.and
            (v128.xor (local.get $sign) (local.get $swap))
            (global.get $sign-bit))))
      (local.set $swap (i64x2.shr_s (local.get $swap) (i32.const 63)))
      (local.set $a (v128.bitselect (local.get $sine) (local.get $cosine) (local.get $swap)))
      (local.set $b (v128.bitselect (local.get $cosine) (local.get $sine) (local.get $swap)))
      (local.set $at (i32.mul (local.get $i) (i32.const 16)))
      (v128.store offset=8192 (local.get $at)
        (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (local.get $a) (local.get $b)))
      (v128.store offset=8208 (local.get $at)
        (i8x16.shuffle 8 9 10 11 12 13 14 15 24 25 26 27 28 29 30 31 (local.get $a) (local.get $b)))
      (local.set $i (i32.add (local.get $i) (i32.const 2)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $blocks)))))

  ;; Results mean + scale * value as float32, four at a time.
  (func (export "shiftByNumber") (param $count i32) (param $scale f64) (param $mean f64)
    (local $i i32) (local $at i32) (local $factor v128) (local $means v128)
    (local.set $factor (f64x2.splat (local.get $scale)))
    (local.set $means (f64x2.splat (local.get $mean)))
    (loop $next
      (local.set $at (i32.mul (local.get $i) (i32.const 4)))
      (v128.store offset=20480 (local.get $at)
        (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23
          (f32x4.demote_f64x2_zero
            (f64x2.add
              (local.get $means)
              (f64x2.mul
                (local.get $factor)
                (v128.load offset=8192 (i32.add (local.get $at) (local.get $at))))))
          (f32x4.demote_f64x2_zero
            (f64x2.add
              (local.get $means)
              (f64x2.mul
                (local.get $factor)
                (v128.load offset=8208 (i32.add (local.get $at) (local.get $at))))))))
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $count)))))

  ;; The same with a mean for each value, from memory.
  (func (export "shiftByArray") (param $count i32) (param $scale f64) (param $mean f64)
    (local $i i32) (local $at i32) (local $factor v128)
    (local.set $factor (f64x2.splat (local.get $scale)))
    (loop $next
      (local.set $at (i32.mul (local.get $i) (i32.const 4)))
      (v128.store offset=20480 (local.get $at)
        (i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23
          (f32x4.demote_f64x2_zero
            (f64x2.add
              (f64x2.promote_low_f32x4 (v128.load64_zero offset=16384 (local.get $at)))
              (f64x2.mul
                (local.get $factor)
                (v128.load offset=8192 (i32.add (local.get $at) (local.get $at))))))
          (f32x4.demote_f64x2_zero
            (f64x2.add
              (f64x2.promote_low_f32x4 (v128.load64_zero offset=16392 (local.get $at)))
              (f64x2.mul
                (local.get $factor)
                (v128.load offset=8208 (i32.add (local.get $at) (local.get $at))))))))
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $count))))))
