"""The book: Sphinx reads what stage.py has laid out in build/book/source. `make book` does both."""

import html
import os
import pathlib
import re
import shutil

project = "Attention, step by step"
author = "the authors"
extensions = ["myst_parser", "nbsphinx"]
root_doc = "index"
exclude_patterns = ["**.ipynb_checkpoints"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nbsphinx_execute = "never"  # they are committed executed, and the tests compare them
nbsphinx_requirejs_path = ""  # for widgets, which they do not have: it would be asked of a server
suppress_warnings = ["myst.header"]  # a page may begin with any heading

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["katex/katex.min.css", "book.css"]
html_js_files = ["katex/katex.min.js", "formulas.js", "figures.js"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
highlight_language = "text"  # of a fence that names none
pygments_style = "xcode"  # of those that Pygments has, the readable ones: 4.5 to 1 and more
pygments_dark_style = "github-dark"

VIEWER = pathlib.Path(os.environ["VIEWER"])  # what traces/viewer/build.sh has put together
KATEX = pathlib.Path(os.environ["KATEX"])  # Debian: libjs-katex


def formula_inline(self, node):
    """TeX as text: formulas.js lets KaTeX draw it when the page opens."""
    self.body.append(f'<span class="formula">{html.escape(node.astext())}</span>')
    raise nodes.SkipNode


def formula_block(self, node):
    self.body.append(f'<div class="formula">{html.escape(node.astext())}</div>')
    raise nodes.SkipNode


def gather(app, exception):
    """Everything that a page needs lies beside it: it opens from disk, and asks no server."""
    if exception or app.builder.format != "html":
        return
    static = pathlib.Path(app.outdir) / "_static"
    (static / "katex").mkdir(parents=True, exist_ok=True)
    for name in ("katex.min.js", "katex.min.css"):
        shutil.copy(KATEX / name, static / "katex" / name)
    for name in ("viewer.js", "viewer.css"):
        shutil.copy(VIEWER / name, static / name)
    shutil.copytree(KATEX / "fonts", static / "katex" / "fonts", dirs_exist_ok=True)
    unpack_furo(static)


def unpack_furo(static):
    """Debian's Furo names two files by places that only a web server has; PyPI's has both inside."""
    style = static / "styles" / "furo.css"
    found = re.search(r"@import url\((/javascript/normalize.css/normalize.css)\);", style.read_text())
    if found:
        shutil.copy("/usr/share" + found[1], static / "styles" / "normalize.css")
        style.write_text(style.read_text().replace(found[1], "normalize.css"))
    script = static / "scripts" / "furo.js"
    module = 'import Gumshoe from "./gumshoe-patched.js";'
    if module in script.read_text():  # browsers load no modules from disk
        script.write_text((script.parent / "gumshoe-patched.js").read_text() +
                          script.read_text().replace(module, ""))


def setup(app):
    app.add_html_math_renderer("katex", (formula_inline, None), (formula_block, None))
    app.connect("build-finished", gather)


from docutils import nodes  # noqa: E402  (Sphinx reads the names above first)

html_math_renderer = "katex"
