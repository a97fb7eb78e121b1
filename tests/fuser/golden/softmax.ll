; v2: float32[8] = reduce(v1, how=max, dims=(1,))
; v5: float32[8, 48] = sub(v1, v4)
; v6: float32[8, 48] = exp(v5)
; v7: float32[8] = reduce(v6, how=sum, dims=(1,))
; v12: float32[8, 1] = div(v11, v8)
; v14: float32[8, 48] = mul(v6, v13)

declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
declare <16 x float> @llvm.masked.load.v16f32.p0(ptr, i32, <16 x i1>, <16 x float>)
declare <16 x float> @llvm.maximum.v16f32(<16 x float>, <16 x float>)
declare <16 x float> @llvm.roundeven.v16f32(<16 x float>)
declare <2 x float> @llvm.maximum.v2f32(<2 x float>, <2 x float>)
declare <4 x float> @llvm.maximum.v4f32(<4 x float>, <4 x float>)
declare <8 x float> @llvm.maximum.v8f32(<8 x float>, <8 x float>)
declare float @llvm.maximum.f32(float, float)
declare void @llvm.masked.store.v16f32.p0(<16 x float>, ptr, i32, <16 x i1>)

define void @rows(ptr %args, i64 %begin, i64 %end, i64 %part) {
entry:
  %a0 = getelementptr i64, ptr %args, i64 0
  %p0 = load ptr, ptr %a0
  %a1 = getelementptr i64, ptr %args, i64 1
  %p1 = load ptr, ptr %a1
  %a2 = getelementptr i64, ptr %args, i64 2
  %flag = load ptr, ptr %a2
  %kept1 = alloca float, i64 64, align 64
  %row2 = alloca i64, align 64
  %sum8 = alloca <16 x float>, align 64
  %sum9 = alloca <16 x float>, align 64
  %j13 = alloca i64, align 64
  %rest33 = alloca i64, align 64
  %sum68 = alloca <16 x float>, align 64
  %sum69 = alloca <16 x float>, align 64
  %j73 = alloca i64, align 64
  %rest157 = alloca i64, align 64
  %j228 = alloca i64, align 64
  %rest252 = alloca i64, align 64
  store i64 %begin, ptr %row2
  br label %row.head3
row.head3:
  %row6 = load i64, ptr %row2
  %v7 = icmp slt i64 %row6, %end
  br i1 %v7, label %row.body4, label %row.tail5
row.body4:
  ; pass 1 of 3
  store <16 x float> splat (float 0xFFF0000000000000), ptr %sum8
  store <16 x float> splat (float 0xFFF0000000000000), ptr %sum9
  %v10 = sub i64 48, 0
  %v11 = and i64 %v10, -32
  %v12 = add i64 0, %v11
  store i64 0, ptr %j13
  br label %j.head14
j.head14:
  %j17 = load i64, ptr %j13
  %v18 = icmp slt i64 %j17, %v12
  br i1 %v18, label %j.body15, label %j.tail16
j.body15:
  %v19 = add nuw nsw i64 %j17, 16
  %v20 = mul nsw i64 %row6, 48
  %v21 = add nsw i64 %v20, %j17
  %v22 = getelementptr float, ptr %p0, i64 %v21
  %v23 = load <16 x float>, ptr %v22, align 4
  %v24 = load <16 x float>, ptr %sum8
  %v25 = call <16 x float> @llvm.maximum.v16f32(<16 x float> %v24, <16 x float> %v23)
  store <16 x float> %v25, ptr %sum8
  %v26 = mul nsw i64 %row6, 48
  %v27 = add nsw i64 %v26, %v19
  %v28 = getelementptr float, ptr %p0, i64 %v27
  %v29 = load <16 x float>, ptr %v28, align 4
  %v30 = load <16 x float>, ptr %sum9
  %v31 = call <16 x float> @llvm.maximum.v16f32(<16 x float> %v30, <16 x float> %v29)
  store <16 x float> %v31, ptr %sum9
  %v32 = add nsw i64 %j17, 32
  store i64 %v32, ptr %j13
  br label %j.head14
j.tail16:
  store i64 %v12, ptr %rest33
  br label %rest.head34
rest.head34:
  %rest37 = load i64, ptr %rest33
  %v38 = icmp slt i64 %rest37, 48
  br i1 %v38, label %rest.body35, label %rest.tail36
rest.body35:
  %v39 = insertelement <16 x i64> poison, i64 %rest37, i64 0
  %v40 = shufflevector <16 x i64> %v39, <16 x i64> poison, <16 x i32> zeroinitializer
  %v41 = add <16 x i64> %v40, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v42 = icmp slt <16 x i64> %v41, splat (i64 48)
  %v43 = mul nsw i64 %row6, 48
  %v44 = add nsw i64 %v43, %rest37
  %v45 = getelementptr float, ptr %p0, i64 %v44
  %v46 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v45, i32 4, <16 x i1> %v42, <16 x float> zeroinitializer)
  %v47 = load <16 x float>, ptr %sum8
  %v48 = call <16 x float> @llvm.maximum.v16f32(<16 x float> %v47, <16 x float> %v46)
  %v49 = select <16 x i1> %v42, <16 x float> %v48, <16 x float> %v47
  store <16 x float> %v49, ptr %sum8
  %v50 = add nsw i64 %rest37, 16
  store i64 %v50, ptr %rest33
  br label %rest.head34
rest.tail36:
  %v51 = load <16 x float>, ptr %sum8
  %v52 = load <16 x float>, ptr %sum9
  %v53 = call <16 x float> @llvm.maximum.v16f32(<16 x float> %v51, <16 x float> %v52)
  %v54 = shufflevector <16 x float> %v53, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v55 = shufflevector <16 x float> %v53, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v56 = call <8 x float> @llvm.maximum.v8f32(<8 x float> %v54, <8 x float> %v55)
  %v57 = shufflevector <8 x float> %v56, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v58 = shufflevector <8 x float> %v56, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v59 = call <4 x float> @llvm.maximum.v4f32(<4 x float> %v57, <4 x float> %v58)
  %v60 = shufflevector <4 x float> %v59, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v61 = shufflevector <4 x float> %v59, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v62 = call <2 x float> @llvm.maximum.v2f32(<2 x float> %v60, <2 x float> %v61)
  %v63 = shufflevector <2 x float> %v62, <2 x float> poison, <1 x i32> <i32 0>
  %v64 = shufflevector <2 x float> %v62, <2 x float> poison, <1 x i32> <i32 1>
  %v65 = extractelement <1 x float> %v63, i64 0
  %v66 = extractelement <1 x float> %v64, i64 0
  %v67 = call float @llvm.maximum.f32(float %v65, float %v66)
  ; pass 2 of 3
  store <16 x float> zeroinitializer, ptr %sum68
  store <16 x float> zeroinitializer, ptr %sum69
  %v70 = sub i64 48, 0
  %v71 = and i64 %v70, -32
  %v72 = add i64 0, %v71
  store i64 0, ptr %j73
  br label %j.head74
j.head74:
  %j77 = load i64, ptr %j73
  %v78 = icmp slt i64 %j77, %v72
  br i1 %v78, label %j.body75, label %j.tail76
j.body75:
  %v79 = add nuw nsw i64 %j77, 16
  %v80 = mul nsw i64 %row6, 48
  %v81 = add nsw i64 %v80, %j77
  %v82 = getelementptr float, ptr %p0, i64 %v81
  %v83 = load <16 x float>, ptr %v82, align 4
  %v84 = insertelement <16 x float> poison, float %v67, i64 0
  %v85 = shufflevector <16 x float> %v84, <16 x float> poison, <16 x i32> zeroinitializer
  %v86 = fsub <16 x float> %v83, %v85
  %v87 = fcmp olt <16 x float> %v86, splat (float 0xC05A000000000000)
  %v88 = select <16 x i1> %v87, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v86
  %v89 = fcmp ogt <16 x float> %v88, splat (float 0x4056400000000000)
  %v90 = select <16 x i1> %v89, <16 x float> splat (float 0x4056400000000000), <16 x float> %v88
  %v91 = fmul <16 x float> %v90, splat (float 0x3FF7154760000000)
  %v92 = call <16 x float> @llvm.roundeven.v16f32(<16 x float> %v91)
  %v93 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v92, <16 x float> splat (float 0xBFE6300000000000), <16 x float> %v90)
  %v94 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v92, <16 x float> splat (float 0x3F2BD01060000000), <16 x float> %v93)
  %v95 = fmul <16 x float> %v94, %v94
  %v96 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F2A1A91A0000000), <16 x float> %v94, <16 x float> splat (float 0x3F56D96E80000000))
  %v97 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v96, <16 x float> %v94, <16 x float> splat (float 0x3F81110880000000))
  %v98 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v97, <16 x float> %v94, <16 x float> splat (float 0x3FA5554800000000))
  %v99 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v98, <16 x float> %v94, <16 x float> splat (float 0x3FC5555560000000))
  %v100 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v99, <16 x float> %v94, <16 x float> splat (float 0x3FE0000000000000))
  %v101 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v95, <16 x float> %v100, <16 x float> %v94)
  %v102 = fadd <16 x float> %v101, splat (float 0x3FF0000000000000)
  %v103 = fptosi <16 x float> %v92 to <16 x i32>
  %v104 = freeze <16 x i32> %v103
  %v105 = ashr <16 x i32> %v104, splat (i32 1)
  %v106 = sub <16 x i32> %v104, %v105
  %v107 = add <16 x i32> %v105, splat (i32 127)
  %v108 = shl <16 x i32> %v107, splat (i32 23)
  %v109 = bitcast <16 x i32> %v108 to <16 x float>
  %v110 = fmul <16 x float> %v102, %v109
  %v111 = add <16 x i32> %v106, splat (i32 127)
  %v112 = shl <16 x i32> %v111, splat (i32 23)
  %v113 = bitcast <16 x i32> %v112 to <16 x float>
  %v114 = fmul <16 x float> %v110, %v113
  %v115 = getelementptr float, ptr %kept1, i64 %j77
  store <16 x float> %v114, ptr %v115, align 4
  %v116 = load <16 x float>, ptr %sum68
  %v117 = fadd <16 x float> %v116, %v114
  store <16 x float> %v117, ptr %sum68
  %v118 = mul nsw i64 %row6, 48
  %v119 = add nsw i64 %v118, %v79
  %v120 = getelementptr float, ptr %p0, i64 %v119
  %v121 = load <16 x float>, ptr %v120, align 4
  %v122 = insertelement <16 x float> poison, float %v67, i64 0
  %v123 = shufflevector <16 x float> %v122, <16 x float> poison, <16 x i32> zeroinitializer
  %v124 = fsub <16 x float> %v121, %v123
  %v125 = fcmp olt <16 x float> %v124, splat (float 0xC05A000000000000)
  %v126 = select <16 x i1> %v125, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v124
  %v127 = fcmp ogt <16 x float> %v126, splat (float 0x4056400000000000)
  %v128 = select <16 x i1> %v127, <16 x float> splat (float 0x4056400000000000), <16 x float> %v126
  %v129 = fmul <16 x float> %v128, splat (float 0x3FF7154760000000)
  %v130 = call <16 x float> @llvm.roundeven.v16f32(<16 x float> %v129)
  %v131 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v130, <16 x float> splat (float 0xBFE6300000000000), <16 x float> %v128)
  %v132 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v130, <16 x float> splat (float 0x3F2BD01060000000), <16 x float> %v131)
  %v133 = fmul <16 x float> %v132, %v132
  %v134 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F2A1A91A0000000), <16 x float> %v132, <16 x float> splat (float 0x3F56D96E80000000))
  %v135 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v134, <16 x float> %v132, <16 x float> splat (float 0x3F81110880000000))
  %v136 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v135, <16 x float> %v132, <16 x float> splat (float 0x3FA5554800000000))
  %v137 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v136, <16 x float> %v132, <16 x float> splat (float 0x3FC5555560000000))
  %v138 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v137, <16 x float> %v132, <16 x float> splat (float 0x3FE0000000000000))
  %v139 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v133, <16 x float> %v138, <16 x float> %v132)
  %v140 = fadd <16 x float> %v139, splat (float 0x3FF0000000000000)
  %v141 = fptosi <16 x float> %v130 to <16 x i32>
  %v142 = freeze <16 x i32> %v141
  %v143 = ashr <16 x i32> %v142, splat (i32 1)
  %v144 = sub <16 x i32> %v142, %v143
  %v145 = add <16 x i32> %v143, splat (i32 127)
  %v146 = shl <16 x i32> %v145, splat (i32 23)
  %v147 = bitcast <16 x i32> %v146 to <16 x float>
  %v148 = fmul <16 x float> %v140, %v147
  %v149 = add <16 x i32> %v144, splat (i32 127)
  %v150 = shl <16 x i32> %v149, splat (i32 23)
  %v151 = bitcast <16 x i32> %v150 to <16 x float>
  %v152 = fmul <16 x float> %v148, %v151
  %v153 = getelementptr float, ptr %kept1, i64 %v79
  store <16 x float> %v152, ptr %v153, align 4
  %v154 = load <16 x float>, ptr %sum69
  %v155 = fadd <16 x float> %v154, %v152
  store <16 x float> %v155, ptr %sum69
  %v156 = add nsw i64 %j77, 32
  store i64 %v156, ptr %j73
  br label %j.head74
j.tail76:
  store i64 %v72, ptr %rest157
  br label %rest.head158
rest.head158:
  %rest161 = load i64, ptr %rest157
  %v162 = icmp slt i64 %rest161, 48
  br i1 %v162, label %rest.body159, label %rest.tail160
rest.body159:
  %v163 = insertelement <16 x i64> poison, i64 %rest161, i64 0
  %v164 = shufflevector <16 x i64> %v163, <16 x i64> poison, <16 x i32> zeroinitializer
  %v165 = add <16 x i64> %v164, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v166 = icmp slt <16 x i64> %v165, splat (i64 48)
  %v167 = mul nsw i64 %row6, 48
  %v168 = add nsw i64 %v167, %rest161
  %v169 = getelementptr float, ptr %p0, i64 %v168
  %v170 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v169, i32 4, <16 x i1> %v166, <16 x float> zeroinitializer)
  %v171 = insertelement <16 x float> poison, float %v67, i64 0
  %v172 = shufflevector <16 x float> %v171, <16 x float> poison, <16 x i32> zeroinitializer
  %v173 = fsub <16 x float> %v170, %v172
  %v174 = fcmp olt <16 x float> %v173, splat (float 0xC05A000000000000)
  %v175 = select <16 x i1> %v174, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v173
  %v176 = fcmp ogt <16 x float> %v175, splat (float 0x4056400000000000)
  %v177 = select <16 x i1> %v176, <16 x float> splat (float 0x4056400000000000), <16 x float> %v175
  %v178 = fmul <16 x float> %v177, splat (float 0x3FF7154760000000)
  %v179 = call <16 x float> @llvm.roundeven.v16f32(<16 x float> %v178)
  %v180 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v179, <16 x float> splat (float 0xBFE6300000000000), <16 x float> %v177)
  %v181 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v179, <16 x float> splat (float 0x3F2BD01060000000), <16 x float> %v180)
  %v182 = fmul <16 x float> %v181, %v181
  %v183 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F2A1A91A0000000), <16 x float> %v181, <16 x float> splat (float 0x3F56D96E80000000))
  %v184 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v183, <16 x float> %v181, <16 x float> splat (float 0x3F81110880000000))
  %v185 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v184, <16 x float> %v181, <16 x float> splat (float 0x3FA5554800000000))
  %v186 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v185, <16 x float> %v181, <16 x float> splat (float 0x3FC5555560000000))
  %v187 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v186, <16 x float> %v181, <16 x float> splat (float 0x3FE0000000000000))
  %v188 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v182, <16 x float> %v187, <16 x float> %v181)
  %v189 = fadd <16 x float> %v188, splat (float 0x3FF0000000000000)
  %v190 = fptosi <16 x float> %v179 to <16 x i32>
  %v191 = freeze <16 x i32> %v190
  %v192 = ashr <16 x i32> %v191, splat (i32 1)
  %v193 = sub <16 x i32> %v191, %v192
  %v194 = add <16 x i32> %v192, splat (i32 127)
  %v195 = shl <16 x i32> %v194, splat (i32 23)
  %v196 = bitcast <16 x i32> %v195 to <16 x float>
  %v197 = fmul <16 x float> %v189, %v196
  %v198 = add <16 x i32> %v193, splat (i32 127)
  %v199 = shl <16 x i32> %v198, splat (i32 23)
  %v200 = bitcast <16 x i32> %v199 to <16 x float>
  %v201 = fmul <16 x float> %v197, %v200
  %v202 = getelementptr float, ptr %kept1, i64 %rest161
  store <16 x float> %v201, ptr %v202, align 4
  %v203 = load <16 x float>, ptr %sum68
  %v204 = fadd <16 x float> %v203, %v201
  %v205 = select <16 x i1> %v166, <16 x float> %v204, <16 x float> %v203
  store <16 x float> %v205, ptr %sum68
  %v206 = add nsw i64 %rest161, 16
  store i64 %v206, ptr %rest157
  br label %rest.head158
rest.tail160:
  %v207 = load <16 x float>, ptr %sum68
  %v208 = load <16 x float>, ptr %sum69
  %v209 = fadd <16 x float> %v207, %v208
  %v210 = shufflevector <16 x float> %v209, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v211 = shufflevector <16 x float> %v209, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v212 = fadd <8 x float> %v210, %v211
  %v213 = shufflevector <8 x float> %v212, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v214 = shufflevector <8 x float> %v212, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v215 = fadd <4 x float> %v213, %v214
  %v216 = shufflevector <4 x float> %v215, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v217 = shufflevector <4 x float> %v215, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v218 = fadd <2 x float> %v216, %v217
  %v219 = shufflevector <2 x float> %v218, <2 x float> poison, <1 x i32> <i32 0>
  %v220 = shufflevector <2 x float> %v218, <2 x float> poison, <1 x i32> <i32 1>
  %v221 = extractelement <1 x float> %v219, i64 0
  %v222 = extractelement <1 x float> %v220, i64 0
  %v223 = fadd float %v221, %v222
  ; pass 3 of 3
  %v224 = fdiv float 0x3FF0000000000000, %v223
  %v225 = sub i64 48, 0
  %v226 = and i64 %v225, -32
  %v227 = add i64 0, %v226
  store i64 0, ptr %j228
  br label %j.head229
j.head229:
  %j232 = load i64, ptr %j228
  %v233 = icmp slt i64 %j232, %v227
  br i1 %v233, label %j.body230, label %j.tail231
j.body230:
  %v234 = add nuw nsw i64 %j232, 16
  %v235 = getelementptr float, ptr %kept1, i64 %j232
  %v236 = load <16 x float>, ptr %v235, align 4
  %v237 = insertelement <16 x float> poison, float %v224, i64 0
  %v238 = shufflevector <16 x float> %v237, <16 x float> poison, <16 x i32> zeroinitializer
  %v239 = fmul <16 x float> %v236, %v238
  %v240 = mul nsw i64 %row6, 48
  %v241 = add nsw i64 %v240, %j232
  %v242 = getelementptr float, ptr %p1, i64 %v241
  store <16 x float> %v239, ptr %v242, align 4
  %v243 = getelementptr float, ptr %kept1, i64 %v234
  %v244 = load <16 x float>, ptr %v243, align 4
  %v245 = insertelement <16 x float> poison, float %v224, i64 0
  %v246 = shufflevector <16 x float> %v245, <16 x float> poison, <16 x i32> zeroinitializer
  %v247 = fmul <16 x float> %v244, %v246
  %v248 = mul nsw i64 %row6, 48
  %v249 = add nsw i64 %v248, %v234
  %v250 = getelementptr float, ptr %p1, i64 %v249
  store <16 x float> %v247, ptr %v250, align 4
  %v251 = add nsw i64 %j232, 32
  store i64 %v251, ptr %j228
  br label %j.head229
j.tail231:
  store i64 %v227, ptr %rest252
  br label %rest.head253
rest.head253:
  %rest256 = load i64, ptr %rest252
  %v257 = icmp slt i64 %rest256, 48
  br i1 %v257, label %rest.body254, label %rest.tail255
rest.body254:
  %v258 = insertelement <16 x i64> poison, i64 %rest256, i64 0
  %v259 = shufflevector <16 x i64> %v258, <16 x i64> poison, <16 x i32> zeroinitializer
  %v260 = add <16 x i64> %v259, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v261 = icmp slt <16 x i64> %v260, splat (i64 48)
  %v262 = getelementptr float, ptr %kept1, i64 %rest256
  %v263 = load <16 x float>, ptr %v262, align 4
  %v264 = insertelement <16 x float> poison, float %v224, i64 0
  %v265 = shufflevector <16 x float> %v264, <16 x float> poison, <16 x i32> zeroinitializer
  %v266 = fmul <16 x float> %v263, %v265
  %v267 = mul nsw i64 %row6, 48
  %v268 = add nsw i64 %v267, %rest256
  %v269 = getelementptr float, ptr %p1, i64 %v268
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v266, ptr %v269, i32 4, <16 x i1> %v261)
  %v270 = add nsw i64 %rest256, 16
  store i64 %v270, ptr %rest252
  br label %rest.head253
rest.tail255:
  %v271 = add nsw i64 %row6, 1
  store i64 %v271, ptr %row2
  br label %row.head3
row.tail5:
  ret void
}

