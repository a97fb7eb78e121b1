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
declare <16 x float> @llvm.maximum.v16f32(<16 x float>, <16 x float>)
declare <16 x float> @llvm.roundeven.v16f32(<16 x float>)
declare <2 x float> @llvm.maximum.v2f32(<2 x float>, <2 x float>)
declare <4 x float> @llvm.maximum.v4f32(<4 x float>, <4 x float>)
declare <8 x float> @llvm.maximum.v8f32(<8 x float>, <8 x float>)
declare float @llvm.fma.f32(float, float, float)
declare float @llvm.maximum.f32(float, float)

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
  %sum37 = alloca <16 x float>, align 64
  %j38 = alloca i64, align 64
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
  %v20 = call <16 x float> @llvm.maximum.v16f32(<16 x float> %v19, <16 x float> %v18)
  store <16 x float> %v20, ptr %sum8
  %v21 = add nsw i64 %j13, 16
  store i64 %v21, ptr %j9
  br label %j.head10
j.tail12:
  %v22 = load <16 x float>, ptr %sum8
  %v23 = shufflevector <16 x float> %v22, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v24 = shufflevector <16 x float> %v22, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v25 = call <8 x float> @llvm.maximum.v8f32(<8 x float> %v23, <8 x float> %v24)
  %v26 = shufflevector <8 x float> %v25, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v27 = shufflevector <8 x float> %v25, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v28 = call <4 x float> @llvm.maximum.v4f32(<4 x float> %v26, <4 x float> %v27)
  %v29 = shufflevector <4 x float> %v28, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v30 = shufflevector <4 x float> %v28, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v31 = call <2 x float> @llvm.maximum.v2f32(<2 x float> %v29, <2 x float> %v30)
  %v32 = shufflevector <2 x float> %v31, <2 x float> poison, <1 x i32> <i32 0>
  %v33 = shufflevector <2 x float> %v31, <2 x float> poison, <1 x i32> <i32 1>
  %v34 = extractelement <1 x float> %v32, i64 0
  %v35 = extractelement <1 x float> %v33, i64 0
  %v36 = call float @llvm.maximum.f32(float %v34, float %v35)
  ; pass 2 of 2
  store <16 x float> zeroinitializer, ptr %sum37
  store i64 0, ptr %j38
  br label %j.head39
j.head39:
  %j42 = load i64, ptr %j38
  %v43 = icmp slt i64 %j42, 16
  br i1 %v43, label %j.body40, label %j.tail41
j.body40:
  %v44 = mul nsw i64 %row6, 16
  %v45 = add nsw i64 %v44, %j42
  %v46 = getelementptr float, ptr %p1, i64 %v45
  %v47 = load <16 x float>, ptr %v46, align 4
  %v48 = insertelement <16 x float> poison, float %v36, i64 0
  %v49 = shufflevector <16 x float> %v48, <16 x float> poison, <16 x i32> zeroinitializer
  %v50 = fsub <16 x float> %v47, %v49
  %v51 = fcmp olt <16 x float> %v50, splat (float 0xC05A000000000000)
  %v52 = select <16 x i1> %v51, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v50
  %v53 = fcmp ogt <16 x float> %v52, splat (float 0x4056400000000000)
  %v54 = select <16 x i1> %v53, <16 x float> splat (float 0x4056400000000000), <16 x float> %v52
  %v55 = fmul <16 x float> %v54, splat (float 0x3FF7154760000000)
  %v56 = call <16 x float> @llvm.roundeven.v16f32(<16 x float> %v55)
  %v57 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v56, <16 x float> splat (float 0xBFE6300000000000), <16 x float> %v54)
  %v58 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v56, <16 x float> splat (float 0x3F2BD01060000000), <16 x float> %v57)
  %v59 = fmul <16 x float> %v58, %v58
  %v60 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F2A1A91A0000000), <16 x float> %v58, <16 x float> splat (float 0x3F56D96E80000000))
  %v61 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v60, <16 x float> %v58, <16 x float> splat (float 0x3F81110880000000))
  %v62 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v61, <16 x float> %v58, <16 x float> splat (float 0x3FA5554800000000))
  %v63 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v62, <16 x float> %v58, <16 x float> splat (float 0x3FC5555560000000))
  %v64 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v63, <16 x float> %v58, <16 x float> splat (float 0x3FE0000000000000))
  %v65 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v59, <16 x float> %v64, <16 x float> %v58)
  %v66 = fadd <16 x float> %v65, splat (float 0x3FF0000000000000)
  %v67 = fptosi <16 x float> %v56 to <16 x i32>
  %v68 = freeze <16 x i32> %v67
  %v69 = ashr <16 x i32> %v68, splat (i32 1)
  %v70 = sub <16 x i32> %v68, %v69
  %v71 = add <16 x i32> %v69, splat (i32 127)
  %v72 = shl <16 x i32> %v71, splat (i32 23)
  %v73 = bitcast <16 x i32> %v72 to <16 x float>
  %v74 = fmul <16 x float> %v66, %v73
  %v75 = add <16 x i32> %v70, splat (i32 127)
  %v76 = shl <16 x i32> %v75, splat (i32 23)
  %v77 = bitcast <16 x i32> %v76 to <16 x float>
  %v78 = fmul <16 x float> %v74, %v77
  %v79 = load <16 x float>, ptr %sum37
  %v80 = fadd <16 x float> %v79, %v78
  store <16 x float> %v80, ptr %sum37
  %v81 = add nsw i64 %j42, 16
  store i64 %v81, ptr %j38
  br label %j.head39
j.tail41:
  %v82 = load <16 x float>, ptr %sum37
  %v83 = shufflevector <16 x float> %v82, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v84 = shufflevector <16 x float> %v82, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v85 = fadd <8 x float> %v83, %v84
  %v86 = shufflevector <8 x float> %v85, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v87 = shufflevector <8 x float> %v85, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v88 = fadd <4 x float> %v86, %v87
  %v89 = shufflevector <4 x float> %v88, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v90 = shufflevector <4 x float> %v88, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v91 = fadd <2 x float> %v89, %v90
  %v92 = shufflevector <2 x float> %v91, <2 x float> poison, <1 x i32> <i32 0>
  %v93 = shufflevector <2 x float> %v91, <2 x float> poison, <1 x i32> <i32 1>
  %v94 = extractelement <1 x float> %v92, i64 0
  %v95 = extractelement <1 x float> %v93, i64 0
  %v96 = fadd float %v94, %v95
  %v97 = getelementptr i64, ptr %p0, i64 %row6
  %v98 = load i64, ptr %v97
  %v99 = icmp ne i64 %v98, -100
  %v100 = select i1 %v99, i64 %v98, i64 0
  %v101 = mul nsw i64 %row6, 16
  %v102 = icmp uge i64 %v100, 16
  %v103 = load i1, ptr %bad1
  %v104 = or i1 %v103, %v102
  store i1 %v104, ptr %bad1
  %v105 = select i1 %v102, i64 0, i64 %v100
  %v106 = mul i64 %v105, 1
  %v107 = add nsw i64 %v101, %v106
  %v108 = getelementptr float, ptr %p1, i64 %v107
  %v109 = load float, ptr %v108
  %v110 = fsub float %v109, %v36
  %v111 = fcmp olt float %v96, 0x3810000000000000
  %v112 = fmul float %v96, 0x4180000000000000
  %v113 = select i1 %v111, float %v112, float %v96
  %v114 = bitcast float %v113 to i32
  %v115 = sub i32 %v114, 1060439283
  %v116 = ashr i32 %v115, 23
  %v117 = shl i32 %v116, 23
  %v118 = sub i32 %v114, %v117
  %v119 = bitcast i32 %v118 to float
  %v120 = select i1 %v111, i32 25, i32 0
  %v121 = sub i32 %v116, %v120
  %v122 = sitofp i32 %v121 to float
  %v123 = fsub float %v119, 0x3FF0000000000000
  %v124 = fmul float %v123, %v123
  %v125 = fmul float %v123, %v124
  %v126 = call float @llvm.fma.f32(float 0x3FB1456180000000, float %v123, float 0xBFBDE3BB40000000)
  %v127 = call float @llvm.fma.f32(float %v126, float %v123, float 0x3FBE6F0EE0000000)
  %v128 = call float @llvm.fma.f32(float %v127, float %v123, float 0xBFBFC221E0000000)
  %v129 = call float @llvm.fma.f32(float %v128, float %v123, float 0x3FC2337600000000)
  %v130 = call float @llvm.fma.f32(float %v129, float %v123, float 0xBFC555C4C0000000)
  %v131 = call float @llvm.fma.f32(float %v130, float %v123, float 0x3FC99A4B60000000)
  %v132 = call float @llvm.fma.f32(float %v131, float %v123, float 0xBFD0000060000000)
  %v133 = call float @llvm.fma.f32(float %v132, float %v123, float 0x3FD5555480000000)
  %v134 = fmul float %v125, %v133
  %v135 = call float @llvm.fma.f32(float %v124, float 0xBFE0000000000000, float %v134)
  %v136 = call float @llvm.fma.f32(float %v122, float 0xBF2BD01060000000, float %v135)
  %v137 = fadd float %v123, %v136
  %v138 = call float @llvm.fma.f32(float %v122, float 0x3FE6300000000000, float %v137)
  %v139 = fcmp olt float %v96, 0x7FF0000000000000
  %v140 = select i1 %v139, float %v138, float %v96
  %v141 = fcmp olt float %v96, 0x0000000000000000
  %v142 = select i1 %v141, float 0x7FF8000000000000, float %v140
  %v143 = fcmp oeq float %v96, 0x0000000000000000
  %v144 = select i1 %v143, float 0xFFF0000000000000, float %v142
  %v145 = fsub float %v110, %v144
  %v146 = fneg float %v145
  %v147 = select i1 %v99, float %v146, float 0x0000000000000000
  %v148 = getelementptr float, ptr %p2, i64 %row6
  store float %v147, ptr %v148
  %v149 = add nsw i64 %row6, 1
  store i64 %v149, ptr %row2
  br label %row.head3
row.tail5:
  %v150 = load i1, ptr %bad1
  %v151 = zext i1 %v150 to i32
  %ignored = atomicrmw or ptr %flag, i32 %v151 monotonic
  ret void
}

