; v2: float32[8] = reduce(v1, how=max, dims=(1,))
; v5: float32[8, 48] = sub(v1, v4)
; v6: float32[8, 48] = exp(v5)
; v7: float32[8] = reduce(v6, how=sum, dims=(1,))
; v12: float32[8, 1] = div(v11, v8)
; v14: float32[8, 48] = mul(v6, v13)

declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
declare <16 x float> @llvm.masked.load.v16f32.p0(ptr, i32, <16 x i1>, <16 x float>)
declare <16 x float> @llvm.roundeven.v16f32(<16 x float>)
declare <2 x float> @llvm.maximum.v2f32(<2 x float>, <2 x float>)
declare <4 x float> @llvm.maximum.v4f32(<4 x float>, <4 x float>)
declare <8 x float> @llvm.maximum.v8f32(<8 x float>, <8 x float>)
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
  %rest39 = alloca i64, align 64
  %sum83 = alloca <16 x float>, align 64
  %sum84 = alloca <16 x float>, align 64
  %j88 = alloca i64, align 64
  %rest176 = alloca i64, align 64
  %j249 = alloca i64, align 64
  %rest273 = alloca i64, align 64
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
  %v25 = fcmp ogt <16 x float> %v23, %v24
  %v26 = select <16 x i1> %v25, <16 x float> %v23, <16 x float> %v24
  %v27 = fcmp une <16 x float> %v23, %v23
  %v28 = select <16 x i1> %v27, <16 x float> %v23, <16 x float> %v26
  store <16 x float> %v28, ptr %sum8
  %v29 = mul nsw i64 %row6, 48
  %v30 = add nsw i64 %v29, %v19
  %v31 = getelementptr float, ptr %p0, i64 %v30
  %v32 = load <16 x float>, ptr %v31, align 4
  %v33 = load <16 x float>, ptr %sum9
  %v34 = fcmp ogt <16 x float> %v32, %v33
  %v35 = select <16 x i1> %v34, <16 x float> %v32, <16 x float> %v33
  %v36 = fcmp une <16 x float> %v32, %v32
  %v37 = select <16 x i1> %v36, <16 x float> %v32, <16 x float> %v35
  store <16 x float> %v37, ptr %sum9
  %v38 = add nsw i64 %j17, 32
  store i64 %v38, ptr %j13
  br label %j.head14
j.tail16:
  store i64 %v12, ptr %rest39
  br label %rest.head40
rest.head40:
  %rest43 = load i64, ptr %rest39
  %v44 = icmp slt i64 %rest43, 48
  br i1 %v44, label %rest.body41, label %rest.tail42
rest.body41:
  %v45 = insertelement <16 x i64> poison, i64 %rest43, i64 0
  %v46 = shufflevector <16 x i64> %v45, <16 x i64> poison, <16 x i32> zeroinitializer
  %v47 = add <16 x i64> %v46, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v48 = icmp slt <16 x i64> %v47, splat (i64 48)
  %v49 = mul nsw i64 %row6, 48
  %v50 = add nsw i64 %v49, %rest43
  %v51 = getelementptr float, ptr %p0, i64 %v50
  %v52 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v51, i32 4, <16 x i1> %v48, <16 x float> zeroinitializer)
  %v53 = load <16 x float>, ptr %sum8
  %v54 = fcmp ogt <16 x float> %v52, %v53
  %v55 = select <16 x i1> %v54, <16 x float> %v52, <16 x float> %v53
  %v56 = fcmp une <16 x float> %v52, %v52
  %v57 = select <16 x i1> %v56, <16 x float> %v52, <16 x float> %v55
  %v58 = select <16 x i1> %v48, <16 x float> %v57, <16 x float> %v53
  store <16 x float> %v58, ptr %sum8
  %v59 = add nsw i64 %rest43, 16
  store i64 %v59, ptr %rest39
  br label %rest.head40
rest.tail42:
  %v60 = load <16 x float>, ptr %sum8
  %v61 = load <16 x float>, ptr %sum9
  %v62 = fcmp ogt <16 x float> %v61, %v60
  %v63 = select <16 x i1> %v62, <16 x float> %v61, <16 x float> %v60
  %v64 = fcmp une <16 x float> %v61, %v61
  %v65 = select <16 x i1> %v64, <16 x float> %v61, <16 x float> %v63
  %v66 = shufflevector <16 x float> %v65, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v67 = shufflevector <16 x float> %v65, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v68 = call <8 x float> @llvm.maximum.v8f32(<8 x float> %v66, <8 x float> %v67)
  %v69 = shufflevector <8 x float> %v68, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v70 = shufflevector <8 x float> %v68, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v71 = call <4 x float> @llvm.maximum.v4f32(<4 x float> %v69, <4 x float> %v70)
  %v72 = shufflevector <4 x float> %v71, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v73 = shufflevector <4 x float> %v71, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v74 = call <2 x float> @llvm.maximum.v2f32(<2 x float> %v72, <2 x float> %v73)
  %v75 = shufflevector <2 x float> %v74, <2 x float> poison, <1 x i32> <i32 0>
  %v76 = shufflevector <2 x float> %v74, <2 x float> poison, <1 x i32> <i32 1>
  %v77 = extractelement <1 x float> %v75, i64 0
  %v78 = extractelement <1 x float> %v76, i64 0
  %v79 = fcmp ogt float %v78, %v77
  %v80 = select i1 %v79, float %v78, float %v77
  %v81 = fcmp une float %v78, %v78
  %v82 = select i1 %v81, float %v78, float %v80
  ; pass 2 of 3
  store <16 x float> zeroinitializer, ptr %sum83
  store <16 x float> zeroinitializer, ptr %sum84
  %v85 = sub i64 48, 0
  %v86 = and i64 %v85, -32
  %v87 = add i64 0, %v86
  store i64 0, ptr %j88
  br label %j.head89
j.head89:
  %j92 = load i64, ptr %j88
  %v93 = icmp slt i64 %j92, %v87
  br i1 %v93, label %j.body90, label %j.tail91
j.body90:
  %v94 = add nuw nsw i64 %j92, 16
  %v95 = mul nsw i64 %row6, 48
  %v96 = add nsw i64 %v95, %j92
  %v97 = getelementptr float, ptr %p0, i64 %v96
  %v98 = load <16 x float>, ptr %v97, align 4
  %v99 = insertelement <16 x float> poison, float %v82, i64 0
  %v100 = shufflevector <16 x float> %v99, <16 x float> poison, <16 x i32> zeroinitializer
  %v101 = fsub <16 x float> %v98, %v100
  %v102 = fcmp olt <16 x float> %v101, splat (float 0xC05A000000000000)
  %v103 = fcmp olt <16 x float> %v101, splat (float 0xC05A000000000000)
  %v104 = select <16 x i1> %v103, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v101
  %v105 = fcmp ogt <16 x float> %v104, splat (float 0x4056400000000000)
  %v106 = select <16 x i1> %v105, <16 x float> splat (float 0x4056400000000000), <16 x float> %v104
  %v107 = fmul <16 x float> %v106, splat (float 0x3FF7154760000000)
  %v108 = call <16 x float> @llvm.roundeven.v16f32(<16 x float> %v107)
  %v109 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v108, <16 x float> splat (float 0xBFE6300000000000), <16 x float> %v106)
  %v110 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v108, <16 x float> splat (float 0x3F2BD01060000000), <16 x float> %v109)
  %v111 = fmul <16 x float> %v110, %v110
  %v112 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F2A1A91A0000000), <16 x float> %v110, <16 x float> splat (float 0x3F56D96E80000000))
  %v113 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v112, <16 x float> %v110, <16 x float> splat (float 0x3F81110880000000))
  %v114 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v113, <16 x float> %v110, <16 x float> splat (float 0x3FA5554800000000))
  %v115 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v114, <16 x float> %v110, <16 x float> splat (float 0x3FC5555560000000))
  %v116 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v115, <16 x float> %v110, <16 x float> splat (float 0x3FE0000000000000))
  %v117 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v111, <16 x float> %v116, <16 x float> %v110)
  %v118 = fadd <16 x float> %v117, splat (float 0x3FF0000000000000)
  %v119 = select <16 x i1> %v102, <16 x float> zeroinitializer, <16 x float> %v118
  %v120 = fptosi <16 x float> %v108 to <16 x i32>
  %v121 = freeze <16 x i32> %v120
  %v122 = ashr <16 x i32> %v121, splat (i32 1)
  %v123 = sub <16 x i32> %v121, %v122
  %v124 = add <16 x i32> %v122, splat (i32 127)
  %v125 = shl <16 x i32> %v124, splat (i32 23)
  %v126 = bitcast <16 x i32> %v125 to <16 x float>
  %v127 = fmul <16 x float> %v119, %v126
  %v128 = add <16 x i32> %v123, splat (i32 127)
  %v129 = shl <16 x i32> %v128, splat (i32 23)
  %v130 = bitcast <16 x i32> %v129 to <16 x float>
  %v131 = fmul <16 x float> %v127, %v130
  %v132 = getelementptr float, ptr %kept1, i64 %j92
  store <16 x float> %v131, ptr %v132, align 4
  %v133 = load <16 x float>, ptr %sum83
  %v134 = fadd <16 x float> %v133, %v131
  store <16 x float> %v134, ptr %sum83
  %v135 = mul nsw i64 %row6, 48
  %v136 = add nsw i64 %v135, %v94
  %v137 = getelementptr float, ptr %p0, i64 %v136
  %v138 = load <16 x float>, ptr %v137, align 4
  %v139 = insertelement <16 x float> poison, float %v82, i64 0
  %v140 = shufflevector <16 x float> %v139, <16 x float> poison, <16 x i32> zeroinitializer
  %v141 = fsub <16 x float> %v138, %v140
  %v142 = fcmp olt <16 x float> %v141, splat (float 0xC05A000000000000)
  %v143 = fcmp olt <16 x float> %v141, splat (float 0xC05A000000000000)
  %v144 = select <16 x i1> %v143, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v141
  %v145 = fcmp ogt <16 x float> %v144, splat (float 0x4056400000000000)
  %v146 = select <16 x i1> %v145, <16 x float> splat (float 0x4056400000000000), <16 x float> %v144
  %v147 = fmul <16 x float> %v146, splat (float 0x3FF7154760000000)
  %v148 = call <16 x float> @llvm.roundeven.v16f32(<16 x float> %v147)
  %v149 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v148, <16 x float> splat (float 0xBFE6300000000000), <16 x float> %v146)
  %v150 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v148, <16 x float> splat (float 0x3F2BD01060000000), <16 x float> %v149)
  %v151 = fmul <16 x float> %v150, %v150
  %v152 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F2A1A91A0000000), <16 x float> %v150, <16 x float> splat (float 0x3F56D96E80000000))
  %v153 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v152, <16 x float> %v150, <16 x float> splat (float 0x3F81110880000000))
  %v154 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v153, <16 x float> %v150, <16 x float> splat (float 0x3FA5554800000000))
  %v155 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v154, <16 x float> %v150, <16 x float> splat (float 0x3FC5555560000000))
  %v156 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v155, <16 x float> %v150, <16 x float> splat (float 0x3FE0000000000000))
  %v157 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v151, <16 x float> %v156, <16 x float> %v150)
  %v158 = fadd <16 x float> %v157, splat (float 0x3FF0000000000000)
  %v159 = select <16 x i1> %v142, <16 x float> zeroinitializer, <16 x float> %v158
  %v160 = fptosi <16 x float> %v148 to <16 x i32>
  %v161 = freeze <16 x i32> %v160
  %v162 = ashr <16 x i32> %v161, splat (i32 1)
  %v163 = sub <16 x i32> %v161, %v162
  %v164 = add <16 x i32> %v162, splat (i32 127)
  %v165 = shl <16 x i32> %v164, splat (i32 23)
  %v166 = bitcast <16 x i32> %v165 to <16 x float>
  %v167 = fmul <16 x float> %v159, %v166
  %v168 = add <16 x i32> %v163, splat (i32 127)
  %v169 = shl <16 x i32> %v168, splat (i32 23)
  %v170 = bitcast <16 x i32> %v169 to <16 x float>
  %v171 = fmul <16 x float> %v167, %v170
  %v172 = getelementptr float, ptr %kept1, i64 %v94
  store <16 x float> %v171, ptr %v172, align 4
  %v173 = load <16 x float>, ptr %sum84
  %v174 = fadd <16 x float> %v173, %v171
  store <16 x float> %v174, ptr %sum84
  %v175 = add nsw i64 %j92, 32
  store i64 %v175, ptr %j88
  br label %j.head89
j.tail91:
  store i64 %v87, ptr %rest176
  br label %rest.head177
rest.head177:
  %rest180 = load i64, ptr %rest176
  %v181 = icmp slt i64 %rest180, 48
  br i1 %v181, label %rest.body178, label %rest.tail179
rest.body178:
  %v182 = insertelement <16 x i64> poison, i64 %rest180, i64 0
  %v183 = shufflevector <16 x i64> %v182, <16 x i64> poison, <16 x i32> zeroinitializer
  %v184 = add <16 x i64> %v183, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v185 = icmp slt <16 x i64> %v184, splat (i64 48)
  %v186 = mul nsw i64 %row6, 48
  %v187 = add nsw i64 %v186, %rest180
  %v188 = getelementptr float, ptr %p0, i64 %v187
  %v189 = call <16 x float> @llvm.masked.load.v16f32.p0(ptr %v188, i32 4, <16 x i1> %v185, <16 x float> zeroinitializer)
  %v190 = insertelement <16 x float> poison, float %v82, i64 0
  %v191 = shufflevector <16 x float> %v190, <16 x float> poison, <16 x i32> zeroinitializer
  %v192 = fsub <16 x float> %v189, %v191
  %v193 = fcmp olt <16 x float> %v192, splat (float 0xC05A000000000000)
  %v194 = fcmp olt <16 x float> %v192, splat (float 0xC05A000000000000)
  %v195 = select <16 x i1> %v194, <16 x float> splat (float 0xC05A000000000000), <16 x float> %v192
  %v196 = fcmp ogt <16 x float> %v195, splat (float 0x4056400000000000)
  %v197 = select <16 x i1> %v196, <16 x float> splat (float 0x4056400000000000), <16 x float> %v195
  %v198 = fmul <16 x float> %v197, splat (float 0x3FF7154760000000)
  %v199 = call <16 x float> @llvm.roundeven.v16f32(<16 x float> %v198)
  %v200 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v199, <16 x float> splat (float 0xBFE6300000000000), <16 x float> %v197)
  %v201 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v199, <16 x float> splat (float 0x3F2BD01060000000), <16 x float> %v200)
  %v202 = fmul <16 x float> %v201, %v201
  %v203 = call <16 x float> @llvm.fma.v16f32(<16 x float> splat (float 0x3F2A1A91A0000000), <16 x float> %v201, <16 x float> splat (float 0x3F56D96E80000000))
  %v204 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v203, <16 x float> %v201, <16 x float> splat (float 0x3F81110880000000))
  %v205 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v204, <16 x float> %v201, <16 x float> splat (float 0x3FA5554800000000))
  %v206 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v205, <16 x float> %v201, <16 x float> splat (float 0x3FC5555560000000))
  %v207 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v206, <16 x float> %v201, <16 x float> splat (float 0x3FE0000000000000))
  %v208 = call <16 x float> @llvm.fma.v16f32(<16 x float> %v202, <16 x float> %v207, <16 x float> %v201)
  %v209 = fadd <16 x float> %v208, splat (float 0x3FF0000000000000)
  %v210 = select <16 x i1> %v193, <16 x float> zeroinitializer, <16 x float> %v209
  %v211 = fptosi <16 x float> %v199 to <16 x i32>
  %v212 = freeze <16 x i32> %v211
  %v213 = ashr <16 x i32> %v212, splat (i32 1)
  %v214 = sub <16 x i32> %v212, %v213
  %v215 = add <16 x i32> %v213, splat (i32 127)
  %v216 = shl <16 x i32> %v215, splat (i32 23)
  %v217 = bitcast <16 x i32> %v216 to <16 x float>
  %v218 = fmul <16 x float> %v210, %v217
  %v219 = add <16 x i32> %v214, splat (i32 127)
  %v220 = shl <16 x i32> %v219, splat (i32 23)
  %v221 = bitcast <16 x i32> %v220 to <16 x float>
  %v222 = fmul <16 x float> %v218, %v221
  %v223 = getelementptr float, ptr %kept1, i64 %rest180
  store <16 x float> %v222, ptr %v223, align 4
  %v224 = load <16 x float>, ptr %sum83
  %v225 = fadd <16 x float> %v224, %v222
  %v226 = select <16 x i1> %v185, <16 x float> %v225, <16 x float> %v224
  store <16 x float> %v226, ptr %sum83
  %v227 = add nsw i64 %rest180, 16
  store i64 %v227, ptr %rest176
  br label %rest.head177
rest.tail179:
  %v228 = load <16 x float>, ptr %sum83
  %v229 = load <16 x float>, ptr %sum84
  %v230 = fadd <16 x float> %v228, %v229
  %v231 = shufflevector <16 x float> %v230, <16 x float> poison, <8 x i32> <i32 0, i32 1, i32 2, i32 3, i32 4, i32 5, i32 6, i32 7>
  %v232 = shufflevector <16 x float> %v230, <16 x float> poison, <8 x i32> <i32 8, i32 9, i32 10, i32 11, i32 12, i32 13, i32 14, i32 15>
  %v233 = fadd <8 x float> %v231, %v232
  %v234 = shufflevector <8 x float> %v233, <8 x float> poison, <4 x i32> <i32 0, i32 1, i32 2, i32 3>
  %v235 = shufflevector <8 x float> %v233, <8 x float> poison, <4 x i32> <i32 4, i32 5, i32 6, i32 7>
  %v236 = fadd <4 x float> %v234, %v235
  %v237 = shufflevector <4 x float> %v236, <4 x float> poison, <2 x i32> <i32 0, i32 1>
  %v238 = shufflevector <4 x float> %v236, <4 x float> poison, <2 x i32> <i32 2, i32 3>
  %v239 = fadd <2 x float> %v237, %v238
  %v240 = shufflevector <2 x float> %v239, <2 x float> poison, <1 x i32> <i32 0>
  %v241 = shufflevector <2 x float> %v239, <2 x float> poison, <1 x i32> <i32 1>
  %v242 = extractelement <1 x float> %v240, i64 0
  %v243 = extractelement <1 x float> %v241, i64 0
  %v244 = fadd float %v242, %v243
  ; pass 3 of 3
  %v245 = fdiv float 0x3FF0000000000000, %v244
  %v246 = sub i64 48, 0
  %v247 = and i64 %v246, -32
  %v248 = add i64 0, %v247
  store i64 0, ptr %j249
  br label %j.head250
j.head250:
  %j253 = load i64, ptr %j249
  %v254 = icmp slt i64 %j253, %v248
  br i1 %v254, label %j.body251, label %j.tail252
j.body251:
  %v255 = add nuw nsw i64 %j253, 16
  %v256 = getelementptr float, ptr %kept1, i64 %j253
  %v257 = load <16 x float>, ptr %v256, align 4
  %v258 = insertelement <16 x float> poison, float %v245, i64 0
  %v259 = shufflevector <16 x float> %v258, <16 x float> poison, <16 x i32> zeroinitializer
  %v260 = fmul <16 x float> %v257, %v259
  %v261 = mul nsw i64 %row6, 48
  %v262 = add nsw i64 %v261, %j253
  %v263 = getelementptr float, ptr %p1, i64 %v262
  store <16 x float> %v260, ptr %v263, align 4
  %v264 = getelementptr float, ptr %kept1, i64 %v255
  %v265 = load <16 x float>, ptr %v264, align 4
  %v266 = insertelement <16 x float> poison, float %v245, i64 0
  %v267 = shufflevector <16 x float> %v266, <16 x float> poison, <16 x i32> zeroinitializer
  %v268 = fmul <16 x float> %v265, %v267
  %v269 = mul nsw i64 %row6, 48
  %v270 = add nsw i64 %v269, %v255
  %v271 = getelementptr float, ptr %p1, i64 %v270
  store <16 x float> %v268, ptr %v271, align 4
  %v272 = add nsw i64 %j253, 32
  store i64 %v272, ptr %j249
  br label %j.head250
j.tail252:
  store i64 %v248, ptr %rest273
  br label %rest.head274
rest.head274:
  %rest277 = load i64, ptr %rest273
  %v278 = icmp slt i64 %rest277, 48
  br i1 %v278, label %rest.body275, label %rest.tail276
rest.body275:
  %v279 = insertelement <16 x i64> poison, i64 %rest277, i64 0
  %v280 = shufflevector <16 x i64> %v279, <16 x i64> poison, <16 x i32> zeroinitializer
  %v281 = add <16 x i64> %v280, <i64 0, i64 1, i64 2, i64 3, i64 4, i64 5, i64 6, i64 7, i64 8, i64 9, i64 10, i64 11, i64 12, i64 13, i64 14, i64 15>
  %v282 = icmp slt <16 x i64> %v281, splat (i64 48)
  %v283 = getelementptr float, ptr %kept1, i64 %rest277
  %v284 = load <16 x float>, ptr %v283, align 4
  %v285 = insertelement <16 x float> poison, float %v245, i64 0
  %v286 = shufflevector <16 x float> %v285, <16 x float> poison, <16 x i32> zeroinitializer
  %v287 = fmul <16 x float> %v284, %v286
  %v288 = mul nsw i64 %row6, 48
  %v289 = add nsw i64 %v288, %rest277
  %v290 = getelementptr float, ptr %p1, i64 %v289
  call void @llvm.masked.store.v16f32.p0(<16 x float> %v287, ptr %v290, i32 4, <16 x i1> %v282)
  %v291 = add nsw i64 %rest277, 16
  store i64 %v291, ptr %rest273
  br label %rest.head274
rest.tail276:
  %v292 = add nsw i64 %row6, 1
  store i64 %v292, ptr %row2
  br label %row.head3
row.tail5:
  ret void
}

