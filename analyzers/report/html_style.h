// The page's style sheet. Colours of causes: Okabe and Ito's palette, which people with any colour vision tell apart,
// lightened where the page is dark. No web fonts, no images: the page makes no request.
#pragma once

#include <string_view>

namespace qatgap::report {

inline constexpr std::string_view kStyleSheet = R"css(
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--text:#1c2330;--soft:#5b6575;--line:#dfe3ea;--track:#eef0f4;
--accent:#2b5fa8;--warn:#8a5200;--bad:#a3251b;--good:#1d6b45;
--c0:#8d96a3;--c1:#0072b2;--c2:#e69f00;--c3:#d55e00;--c4:#cc79a7;--c5:#009e73;--c6:#56b4e9}
@media(prefers-color-scheme:dark){:root{--page:#12151b;--card:#1a1f28;--text:#e4e8ee;--soft:#9aa5b5;--line:#2c3440;
--track:#262d38;--accent:#86b4f0;--warn:#f0b760;--bad:#ff9184;--good:#7fd1a4;
--c0:#9aa3b0;--c1:#3b9bdc;--c2:#f0b030;--c3:#ee7733;--c4:#dd92bd;--c5:#25b98b;--c6:#7cc8f5}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main,header.top{max-width:1120px;margin:0 auto;padding:0 20px}
header.top{padding-top:36px;padding-bottom:6px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px;font-weight:650;overflow-wrap:anywhere}
h2{font-size:20px;margin:0 0 10px;font-weight:650;overflow-wrap:anywhere}
h3{font-size:15px;margin:26px 0 8px;font-weight:650}
p{margin:6px 0}a{color:var(--accent)}
.soft{color:var(--soft)}.small{font-size:13px}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:22px 24px;margin:18px 0}
.headline{font-size:18px;line-height:1.45;margin:10px 0 18px;padding-left:14px;border-left:4px solid var(--accent);overflow-wrap:anywhere}
ul.say{margin:14px 0 0;padding-left:20px}ul.say li{margin:4px 0;overflow-wrap:anywhere}
ul.say li.alarm{color:var(--bad);font-weight:650}
.scroll{overflow-x:auto;margin:0 -4px;padding:0 4px}
table{border-collapse:collapse;width:100%;font-size:14px}
caption{text-align:left;color:var(--soft);font-size:13px;padding:0 0 6px}
th,td{padding:7px 14px 7px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
thead th{font-weight:600;color:var(--soft);font-size:13px;white-space:nowrap}
tbody th{font-weight:500;overflow-wrap:anywhere;min-width:130px}
tr>:last-child{padding-right:0}tbody tr:last-child>*{border-bottom:0}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.kind{display:block;color:var(--soft);font-size:12.5px;font-weight:400}
td.mix{min-width:190px}
svg.bar{display:block;width:100%;height:12px;border-radius:3px;background:var(--track)}
svg.bar.big{height:22px;border-radius:5px}
.parts{color:var(--soft);font-size:12.5px;margin-top:2px}
ul.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;margin:10px 0 0;padding:0;font-size:13.5px}
ul.legend+p{margin-top:8px}
ul.legend svg{width:11px;height:11px;margin-right:6px;vertical-align:-1px}
.k0{fill:var(--c0)}.k1{fill:var(--c1)}.k2{fill:var(--c2)}.k3{fill:var(--c3)}.k4{fill:var(--c4)}.k5{fill:var(--c5)}.k6{fill:var(--c6)}
.off{opacity:.6}.zero{fill:var(--line)}.hist{fill:var(--accent)}
svg.histogram{display:block;width:100%;max-width:520px;height:auto}svg.histogram text{font-size:9px;fill:var(--soft);text-anchor:middle}
details{border-top:1px solid var(--line)}details:last-of-type{border-bottom:1px solid var(--line)}
summary{cursor:pointer;padding:9px 2px;overflow-wrap:anywhere}summary:hover{color:var(--accent)}summary span{margin-left:8px}
details>div{padding:2px 2px 18px 18px}
.finding{border-top:1px solid var(--line);padding:12px 0}.finding:first-of-type{border-top:0}
.finding p{overflow-wrap:anywhere}.finding h3{margin:0 0 4px}
.tag{display:inline-block;font-size:12px;font-weight:650;border:1px solid currentColor;border-radius:99px;padding:0 9px;margin-right:8px}
.error{color:var(--bad)}.warning{color:var(--warn)}.info{color:var(--soft)}.good{color:var(--good)}
code{font:12.5px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:5px 20px;margin:0;font-size:14px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
footer{max-width:1120px;margin:0 auto;padding:4px 20px 40px;color:var(--soft);font-size:13px}
@media(max-width:640px){main,header.top,footer{padding-left:12px;padding-right:12px}section{padding:16px 14px;border-radius:10px}
h1{font-size:22px}.headline{font-size:16px}th,td{padding-right:10px}tbody th{min-width:110px}td.mix{min-width:150px}
details>div{padding-left:4px}summary span{display:block;margin-left:16px}
table.rows thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table.rows,table.rows caption,table.rows tbody{display:block}
table.rows tr{display:flex;flex-wrap:wrap;gap:2px 16px;padding:9px 0;border-bottom:1px solid var(--line)}
table.rows tbody tr:last-child{border-bottom:0}
table.rows th,table.rows td{display:block;border:0;padding:0;text-align:left;white-space:normal}
table.rows th,table.rows td.mix{flex:1 0 100%}
table.rows td:not(.mix)::before{content:attr(data-label) " ";color:var(--soft);font-size:13px}
dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:8px}}
@media print{body{background:#fff}section{break-inside:avoid-page}}
)css";

}  // namespace qatgap::report
