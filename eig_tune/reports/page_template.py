"""The frame of a search's page: its style, its script, and where its parts go. Every part is HTML already."""

from collections.abc import Iterable
from html import escape

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1180px; margin: 2em auto; padding: 0 1em; }
h1 { margin-bottom: 0; } h2 { margin: 2em 0 .5em; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
td, th { padding: .2em .7em; text-align: right; white-space: nowrap; }
th { cursor: pointer; position: sticky; top: 0; background: #fff; box-shadow: inset 0 -1px #222; }
td.text, th.text { text-align: left; white-space: normal; } tr:nth-child(even) { background: #f4f4f4; }
tr.front td:first-child { font-weight: bold; }
.scroll { overflow: auto; max-height: 34em; }
figure { display: inline-block; margin: 0 1.2em 1.2em 0; vertical-align: top; }
figure img { max-width: 420px; image-rendering: pixelated; }
figcaption { font-size: 13px; max-width: 420px; }
.warning { border-left: 4px solid #222; padding-left: .8em; } .quiet { color: #555; }
#thumbnail { position: fixed; display: none; pointer-events: none; z-index: 9; background: #fff; border: 1px solid; }
#thumbnail img { display: block; max-width: 300px; max-height: 300px; image-rendering: pixelated; }
"""
_SCRIPT = """
const box = document.getElementById("thumbnail");
function show(number, event) {
  if (!(number in thumbnails)) return;
  box.innerHTML = "";
  box.appendChild(Object.assign(new Image(), {src: thumbnails[number]}));
  box.style.left = Math.min(event.clientX + 18, innerWidth - 330) + "px";
  box.style.top = Math.max(8, Math.min(event.clientY + 18, innerHeight - 330)) + "px";
  box.style.display = "block";
}
function hide() { box.style.display = "none"; }
addEventListener("load", () => {
  for (const plot of document.querySelectorAll(".js-plotly-plot")) {
    plot.on("plotly_hover", (of) => { if (of.points[0].customdata != null) show(of.points[0].customdata, of.event); });
    plot.on("plotly_unhover", hide);
  }
  for (const row of document.querySelectorAll("tr[data-trial]")) {
    row.addEventListener("mousemove", (event) => show(row.dataset.trial, event));
    row.addEventListener("mouseleave", hide);
  }
  for (const head of document.querySelectorAll("th")) head.addEventListener("click", () => sort(head));
});
function sort(head) {
  const table = head.closest("table"), column = [...head.parentNode.children].indexOf(head);
  const down = head.dataset.down = head.dataset.down === "1" ? "0" : "1";
  const key = (row) => row.children[column].textContent.trim();
  const body = table.tBodies[0];
  const compare = (a, b) => {
    const [x, y] = [parseFloat(key(a)), parseFloat(key(b))];
    if (isNaN(x) || isNaN(y)) return isNaN(x) && isNaN(y) ? key(a).localeCompare(key(b)) : isNaN(x) ? 1 : -1;
    return down === "1" ? y - x : x - y;
  };
  for (const row of [...body.rows].sort(compare)) body.appendChild(row);
}
"""
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title><style>{style}</style><script>{plotly}</script></head>
<body>
<h1>{title}</h1>
{body}
<div id="thumbnail"></div>
<script>const thumbnails = {thumbnails};{script}</script>
</body>
</html>
"""


def page(title: str, body: Iterable[str], thumbnails: str, plotly: str) -> str:
    """The whole page.

    Args:
        title: as plain text.
        body: its parts, as HTML.
        thumbnails: JSON of trial number to the address of a picture.
        plotly: plotly's script.
    """
    fields = {"title": escape(title), "body": "\n".join(body), "thumbnails": thumbnails, "plotly": plotly}
    return _PAGE.format(**fields, style=_STYLE, script=_SCRIPT)
