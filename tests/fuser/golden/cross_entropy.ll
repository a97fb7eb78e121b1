; v3: float32[4] = reduce(v1, how=max, dims=(1,))
; v6: float32[4, 16] = sub(v1, v5)
; v7: float32[4, 16] = exp(v6)
; v8: float32[4] = reduce(v7, how=sum, dims=(1,))
; v10: float32[4, 1] = log(v9)
; v16: bool[4] = ne(v2, v15)
; v20: int64[4] = where(v16, v2, v19)
; v22: float32[4, 1] = take(v1, v21, dim=1)
; v23: float32[4, 1] = sub(v22, v4)
; v24: float32[4, 1] = sub(v23, v10)
; v26: float32[4] = neg(v25)
; v30: float32[4] = where(v16, v26, v29)

declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
declare <16 x float> @llvm.roundeven.v16f32(<16 x float>)
declare <2 x float> @llvm.maximum.v2f32(<2 x float>, <2 x float>)
declare <4 x float> @llvm.maximum.v4f32(<4 x float>, <4 x float>)
declare <8 x float> @llvm.maximum.v8f32(<8 x float>, <8 x float>)
declare float @llvm.fma.f32(float, float, float)

define void @rows(ptr %args, i64 %begin, i64 %end, i64 %part) {
entry:
  %a0 = getelementptr i64, ptr %args, i64 0
  %p0 = load ptr, ptr %a0
  %a1 = getelementptr i64, ptr %args, i64 1
  %p1 = load ptr, ptr %a1
  %a2 = getelementptr i64, ptr %args, i64 2
  %p2 = load ptr, ptr %a2
  %a3 = getelementptr i64, ptr %args, i64 3
  %flag = load ptr, ptr %a3
  %bad1 = alloca i1, align 64
  %row2 = alloca i64, align 64
  %sum8 = alloca <16 x float>, align 64
  %j9 = alloca i64, align 64
  %sum43 = alloca <16 x float>, align 64
  %j44 = alloca i64, align 64
  store i1 false, ptr %bad1
  store i64 %begin, ptr %row2
  br label %row.head3
row.head3:
  %row6 = load i64, ptr %row2
  %v7 = icmp slt i64 %row6, %end
  br i1 %v7, label %row.body4, label %row.tail5
row.body4:
  ; pass 1 of 2
  store <16 x float> splat (float 0xFFF0000000000000), ptr %sum8
  store i64 0, ptr %j9
  br label %j.head10
j.head10:
  %j13 = load i64, ptr %j9
  %v14 = icmp slt i64 %j13, 16
  br i1 %v14, label %j.body11, label %j.tail12
j.body11:
  %v15 = mul nsw i64 %row6, 16
  %v16 = add nsw i64 %v15, %j13
  %v17 = getelementptr float, ptr %p1, i64 %v16
  %v18 = load <16 x float>, ptr %v17, align 4
  %v19 = load <16 x float>, ptr %sum8
  %v20 = fcmp ogt <16 x float> %v18, %v19
  %v21 = select <16 x i1> %v20, <16 x float> %v18, <16 x float> %v19
  %v22 = fcmp une <16 x float> %v18, %v18
  %v23 = select <16 x i1> %v22, <16 x float> %v18, <16 x float> %v21
  store <16 x float> %v23, ptr %sum8
  %v24 = add nsw i64 %j13, 16
  store i64 %v24, ptr %j9
  br label %j.head10
j.tail12:
  %v25 = load <16 x float>, ptr %sum8
  %v26 = shufflevector <16 x float> %v25, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v27 = shufflevector <16 x float> %v25, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v28 = call <8 x float> @llvm.maximum.v8f32(<8 x float> %v26, <8 x float> %v27)
  %v29 = shufflevector <8 x float> %v28, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v30 = shufflevector <8 x float> %v28, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v31 = call <4 x float> @llvm.maximum.v4f32(<4 x float> %v29, <4 x float> %v30)
  %v32 = shufflevector <4 x float> %v31, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v33 = shufflevector <4 x float> %v31, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v34 = call <2 x float> @llvm.maximum.v2f32(<2 x float> %v32, <2 x float> %v33)
  %v35 = shufflevector <2 x float> %v34, <2 x float> poison, <1 x i32> <i32 0>
  %v36 = shufflevector <2 x float> %v34, <2 x float> poison, <1 x i32> <i32 1>
  %v37 = extractelement <1 x float> %v35, i64 0
  %v38 = extractelement <1 x float> %v36, i64 0
  %v39 = fcmp ogt float %v38, %v37
  %v40 = select i1 %v39, float %v38, float %v37
  %v41 = fcmp une float %v38, %v38
  %v42 = select i1 %v41, float %v38, float %v40
  ; pass 2 of 2
  store <16 x float> zeroinitializer, ptr %sum43
  store i64 0, ptr %j44
  br label %j.head45
j.head45:
  %j48 = load i64, ptr %j44
  %v49 = icmp slt i64 %j48, 16
  br i1 %v49, label %j.body46, label %j.tail47
j.body46:
  %v50 = mul nsw i64 %row6, 16
  %v51 = add nsw i64 %v50, %j48
  %v52 = getelementptr float, ptr %p1, i64 %v51
  %v53 = load <16 x float>, ptr %v52, align 4
  %v54 = insertelement <16 x float> poison, float %v42, i64 0
  %v55 = shufflevector <16 x float> %v54, <16 x float> poison, <16 x i32> zeroinitializer
  %v56 = fsub <16 x float> %v53, %v55
  %v57 = fcmp olt <16 x float> %v56, splat (float 0xC05A000000000000)
  %v58 = fcmp olt <16 x float> %v56, splat (float 0xC05A000000000000)
  %v59 = select <16 x i1> %v58, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v56
  %v60 = fcmp ogt <16 x float> %v59, splat (float 0x4056400000000000)
  %v61 = select <16 x i1> %v60, <16 x float> splat (float 0x4056400000000000), <16 x float> %v59
  %v62 = fmul <16 x float> %v61, splat (float 0x3FF7154760000000)
  %v63 = call <16 x float> @llvm.roundeven.v16f32(<16 x float> %v62)
  %v64 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v63, <16 x float> splat (float 0xBFE6300000000000), <16 x float> %v61)
  %v65 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v63, <16 x float> splat (float 0x3F2BD01060000000), <16 x float> %v64)
  %v66 = fmul <16 x float> %v65, %v65
  %v67 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F2A1A91A0000000), <16 x float> %v65, <16 x float> splat (float 0x3F56D96E80000000))
  %v68 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v67, <16 x float> %v65, <16 x float> splat (float 0x3F81110880000000))
  %v69 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v68, <16 x float> %v65, <16 x float> splat (float 0x3FA5554800000000))
  %v70 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v69, <16 x float> %v65, <16 x float> splat (float 0x3FC5555560000000))
  %v71 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v70, <16 x float> %v65, <16 x float> splat (float 0x3FE0000000000000))
  %v72 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v66, <16 x float> %v71, <16 x float> %v65)
  %v73 = fadd <16 x float> %v72, splat (float 0x3FF0000000000000)
  %v74 = select <16 x i1> %v57, <16 x float> zeroinitializer, <16 x float> %v73
  %v75 = fptosi <16 x float> %v63 to <16 x i32>
  %v76 = freeze <16 x i32> %v75
  %v77 = ashr <16 x i32> %v76, splat (i32 1)
  %v78 = sub <16 x i32> %v76, %v77
  %v79 = add <16 x i32> %v77, splat (i32 127)
  %v80 = shl <16 x i32> %v79, splat (i32 23)
  %v81 = bitcast <16 x i32> %v80 to <16 x float>
  %v82 = fmul <16 x float> %v74, %v81
  %v83 = add <16 x i32> %v78, splat (i32 127)
  %v84 = shl <16 x i32> %v83, splat (i32 23)
  %v85 = bitcast <16 x i32> %v84 to <16 x float>
  %v86 = fmul <16 x float> %v82, %v85
  %v87 = load <16 x float>, ptr %sum43
  %v88 = fadd <16 x float> %v87, %v86
  store <16 x float> %v88, ptr %sum43
  %v89 = add nsw i64 %j48, 16
  store i64 %v89, ptr %j44
  br label %j.head45
j.tail47:
  %v90 = load <16 x float>, ptr %sum43
  %v91 = shufflevector <16 x float> %v90, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v92 = shufflevector <16 x float> %v90, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v93 = fadd <8 x float> %v91, %v92
  %v94 = shufflevector <8 x float> %v93, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v95 = shufflevector <8 x float> %v93, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v96 = fadd <4 x float> %v94, %v95
  %v97 = shufflevector <4 x float> %v96, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v98 = shufflevector <4 x float> %v96, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v99 = fadd <2 x float> %v97, %v98
  %v100 = shufflevector <2 x float> %v99, <2 x float> poison, <1 x i32> <i32 0>
  %v101 = shufflevector <2 x float> %v99, <2 x float> poison, <1 x i32> <i32 1>
  %v102 = extractelement <1 x float> %v100, i64 0
  %v103 = extractelement <1 x float> %v101, i64 0
  %v104 = fadd float %v102, %v103
  %v105 = getelementptr i64, ptr %p0, i64 %row6
  %v106 = load i64, ptr %v105
  %v107 = icmp ne i64 %v106, -100
  %v108 = select i1 %v107, i64 %v106, i64 0
  %v109 = mul nsw i64 %row6, 16
  %v110 = icmp uge i64 %v108, 16
  %v111 = load i1, ptr %bad1
  %v112 = or i1 %v111, %v110
  store i1 %v112, ptr %bad1
  %v113 = select i1 %v110, i64 0, i64 %v108
  %v114 = mul i64 %v113, 1
  %v115 = add nsw i64 %v109, %v114
  %v116 = getelementptr float, ptr %p1, i64 %v115
  %v117 = load float, ptr %v116
  %v118 = fsub float %v117, %v42
  %v119 = fcmp olt float %v104, 0x3810000000000000
  %v120 = fmul float %v104, 0x4180000000000000
  %v121 = select i1 %v119, float %v120, float %v104
  %v122 = bitcast float %v121 to i32
  %v123 = sub i32 %v122, 1060439283
  %v124 = ashr i32 %v123, 23
  %v125 = shl i32 %v124, 23
  %v126 = sub i32 %v122, %v125
  %v127 = bitcast i32 %v126 to float
  %v128 = select i1 %v119, i32 25, i32 0
  %v129 = sub i32 %v124, %v128
  %v130 = sitofp i32 %v129 to float
  %v131 = fsub float %v127, 0x3FF0000000000000
  %v132 = fmul float %v131, %v131
  %v133 = fmul float %v131, %v132
  %v134 = call float @llvm.fma.f32(float 0x3FB1456180000000, float %v131, float 0xBFBDE3BB40000000)
  %v135 = call float @llvm.fma.f32(float %v134, float %v131, float 0x3FBE6F0EE0000000)
  %v136 = call float @llvm.fma.f32(float %v135, float %v131, float 0xBFBFC221E0000000)
  %v137 = call float @llvm.fma.f32(float %v136, float %v131, float 0x3FC2337600000000)
  %v138 = call float @llvm.fma.f32(float %v137, float %v131, float 0xBFC555C4C0000000)
  %v139 = call float @llvm.fma.f32(float %v138, float %v131, float 0x3FC99A4B60000000)
  %v140 = call float @llvm.fma.f32(float %v139, float %v131, float 0xBFD0000060000000)
  %v141 = call float @llvm.fma.f32(float %v140, float %v131, float 0x3FD5555480000000)
  %v142 = fmul float %v133, %v141
  %v143 = call float @llvm.fma.f32(float %v132, float 0xBFE0000000000000, float %v142)
  %v144 = call float @llvm.fma.f32(float %v130, float 0xBF2BD01060000000, float %v143)
  %v145 = fadd float %v131, %v144
  %v146 = call float @llvm.fma.f32(float %v130, float 0x3FE6300000000000, float %v145)
  %v147 = fcmp olt float %v104, 0x7FF0000000000000
  %v148 = select i1 %v147, float %v146, float %v104
  %v149 = fcmp olt float %v104, 0x0000000000000000
  %v150 = select i1 %v149, float 0x7FF8000000000000, float %v148
  %v151 = fcmp oeq float %v104, 0x0000000000000000
  %v152 = select i1 %v151, float 0xFFF0000000000000, float %v150
  %v153 = fsub float %v118, %v152
  %v154 = fneg float %v153
  %v155 = select i1 %v107, float %v154, float 0x0000000000000000
  %v156 = getelementptr float, ptr %p2, i64 %row6
  store float %v155, ptr %v156
  %v157 = add nsw i64 %row6, 1
  store i64 %v157, ptr %row2
  br label %row.head3
row.tail5:
  %v158 = load i1, ptr %bad1
  %v159 = zext i1 %v158 to i32
  %ignored = atomicrmw or ptr %flag, i32 %v159 monotonic
  ret void
}

