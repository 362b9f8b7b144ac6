"""The style sheet of the page at `/`: light and dark, wide and narrow."""

STYLE = """
:root{color-scheme:light dark;--ink:#18212d;--dim:#5b6777;--line:#e1e6ec;--back:#f6f8fa;--card:#fff;
--blue:#0b62b5;--teal:#178a7a;--amber:#c4730a;--red:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--dim:#98a3b3;--line:#2d3642;--back:#11151b;
--card:#1a2029;--blue:#5fb0f5;--teal:#4cc3b0;--amber:#e8a24a;--red:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{margin:0 auto;max-width:72rem;padding:1.2rem 1rem 3rem}
a{color:var(--blue)}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:.2rem 1rem}
h1{font-size:1.45rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .6rem}h3{font-size:1rem;margin:0}
p,small,.dim{color:var(--dim)}p{margin:.2rem 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.8rem .9rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.7rem;margin:1rem 0}
.tiles b{display:block;font-size:1.5rem;line-height:1.2;font-weight:600;font-variant-numeric:tabular-nums}
.runs{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(21rem,100%),1fr));gap:.8rem}
.top{display:flex;justify-content:space-between;gap:.8rem;align-items:baseline}
.top h3{overflow-wrap:anywhere}
.loss small{font-weight:400}.loss{font-size:1.15rem;font-weight:600;font-variant-numeric:tabular-nums;white-space:nowrap}
.chips{display:flex;flex-wrap:wrap;gap:.3rem;margin:.4rem 0}
.chip{font-size:.78rem;padding:.05rem .5rem;border:1px solid var(--line);border-radius:1rem;color:var(--dim);
white-space:nowrap}
.live{color:var(--teal);border-color:currentColor}
code{font:.82rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto;margin-top:.4rem}text{fill:var(--dim);font-size:11px}
.grid{stroke:var(--line);fill:none}.raw{fill:none;stroke:var(--blue);stroke-width:1;opacity:.4}
.smooth{fill:none;stroke:var(--blue);stroke-width:2;stroke-linejoin:round}.area{fill:var(--blue);opacity:.08}
.scroll{overflow-x:auto;direction:rtl}.scroll svg{min-width:44rem;direction:ltr}
.bar0{fill:var(--blue)}.bar1{fill:var(--teal)}.bar2{fill:var(--amber)}
.key span{margin-right:1rem;white-space:nowrap;font-size:.85rem;color:var(--dim)}
.key i{display:inline-block;width:.7rem;height:.7rem;border-radius:.15rem;margin-right:.35rem}
.key0{background:var(--blue)}.key1{background:var(--teal)}.key2{background:var(--amber)}
table{border-collapse:collapse;width:100%}
th{color:var(--dim);font-weight:500;font-size:.85rem;text-align:left}
th,td{padding:.35rem .9rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}
td{white-space:nowrap;font-variant-numeric:tabular-nums}td.wide{white-space:normal;width:99%}
.bad{color:var(--red)}
.empty{color:var(--dim);margin:0}
@media(max-width:46rem){
table,tbody,tr,td{display:block;width:auto}thead{display:none}
tr{padding:.5rem 0;border-bottom:1px solid var(--line)}tr:first-child{padding-top:0}
tr:last-child{border-bottom:0;padding-bottom:0}
td{border:0;padding:0;display:flex;gap:.8rem;white-space:normal}td.wide{width:auto}td:empty{display:none}
td::before{content:attr(data-head);color:var(--dim);flex:0 0 6rem;font-size:.85rem}
}
"""
