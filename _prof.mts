import { init } from "/work/wt-matmul/src/runtime.js";
import { kernels } from "/work/wt-matmul/src/wasm/kernels.js";
import { allocate, float32View, nullPtr } from "/work/wt-matmul/src/wasm/memory.js";
await init({ simd: (process.argv[2] ?? "relaxed") as any });
const [m,k,n]=(process.argv[3]??"512,512,512").split(",").map(Number); const layout=process.argv[4]??"NN";
const [aRow, aCol] = layout[0] === "N" ? [k, 1] : [1, m];
const [bRow, bCol] = layout[1] === "N" ? [n, 1] : [1, k];
const a=allocate(4*m*k), b=allocate(4*k*n), c=allocate(4*m*n), w=allocate(kernels.matmulWorkspace(m,k,n));
for (const [p,l] of [[a,m*k],[b,k*n]] as any) { const v=float32View(p,l); for(let i=0;i<l;i++) v[i]=Math.random()-0.5; }
const t=Date.now(); let runs=0; const s0=process.cpuUsage();
while(Date.now()-t<4000){ for(let i=0;i<10;i++){kernels.matmul(c,a,b,nullPtr,w,1,m,k,n,m*n,n,m*k,aRow,aCol,k*n,bRow,bCol,1,0);runs++;} }
const u=process.cpuUsage(s0); console.log(layout, (2*m*k*n*runs/((u.user+u.system)/1e6)/1e9).toFixed(1),"GFLOP/s");
