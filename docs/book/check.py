"""make book-check: the book in a real browser, every page, from disk.

    python3 docs/book/check.py [FOLDER]     default: build/book/html

Headless Chromium, by selenium, opens each page at the width of a phone and of a desk. Looked at: the
console's errors, pictures that are not there, formulas that KaTeX did not draw, text that is wider
than the page, contrast by day and by night, links into nothing; and whether the search finds "online
softmax". One `ok - ` or `not ok - ` line each, the last line counts them. Exit: 0, 1 something is
wrong, 2 usage, 4 no browser. tests/book.sh shows it a site with one fault of each kind.
"""

import pathlib
import sys
import urllib.parse

BOOK = pathlib.Path(__file__).resolve().parent.parent.parent / "build" / "book" / "html"
WIDTHS = (390, 1280)
PATIENCE = 10  # seconds for a search

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait
except ImportError:
    print("book-check: selenium is not here: make setup-book "
          "(Debian: chromium chromium-driver python3-selenium)", file=sys.stderr)
    sys.exit(4)

# What is wrong with the page that is open, a line each.
LOOK = r"""
const wrong = [];
const width = document.documentElement.scrollWidth;
if (width > window.innerWidth)
    wrong.push(`it is ${width} wide, the window ${window.innerWidth}`);
for (const image of document.images)
    if (!image.complete || image.naturalWidth === 0)
        wrong.push(`a picture is not there: ${image.src}`);
for (const formula of document.querySelectorAll(".formula"))
    if (!formula.querySelector(".katex"))
        wrong.push(`a formula is not drawn: ${formula.textContent}`);
for (const link of document.querySelectorAll("a[href]"))
    if (!link.href.startsWith("file:") && !link.href.startsWith("http"))
        wrong.push(`a link leads nowhere: ${link.href}`);
return wrong;
"""

# Text whose colour is nearer to what lies behind it than 4.5 to 1 (WCAG 2.1, 1.4.3).
CONTRAST = r"""
document.body.dataset.theme = arguments[0];
const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
const light = (c) => {
    const [r, g, b] = c.map((v) => v / 255)
        .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
        const colour = numbers(getComputedStyle(at).backgroundColor);
        if (colour.length < 4 || colour[3] > 0.5)
            return colour.slice(0, 3);
    }
    return [255, 255, 255];
};
const wrong = {};
const texts = document.createTreeWalker(document.querySelector("article") || document.body,
                                        NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || element.closest("script, style, .katex-mathml"))
        continue;
    const style = getComputedStyle(element);
    if (style.visibility === "hidden" || style.display === "none" || !element.offsetParent)
        continue;
    const a = light(numbers(style.color).slice(0, 3)), b = light(behind(element));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (!(ratio >= 4.5)) // NaN is not
        wrong[`${style.color} on ${behind(element)}: ${ratio.toFixed(1)} to 1`] ??=
            `${element.className || element.tagName} "${texts.currentNode.data.trim().slice(0, 30)}"`;
}
return Object.entries(wrong).map(([what, where]) => `${what}, ${arguments[0]}, ${where}`);
"""


def start():
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                 "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)


def set_width(browser, width):
    """The page's own width, as a phone's: a window cannot be narrower than 500."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})


def links_into_nothing(browser):
    """Links to files of the book that are not there."""
    wrong = []
    for href in browser.execute_script(
            "return [...document.querySelectorAll('a[href]')].map((a) => a.href)"):
        if href.startswith("file:"):
            path = pathlib.Path(urllib.parse.unquote(urllib.parse.urlparse(href).path))
            if not path.is_file():
                wrong.append(f"a link into nothing: {path}")
    return wrong


def look_at(browser, page):
    wrong = []
    for width in WIDTHS:
        set_width(browser, width)
        browser.get(page.as_uri())
        wrong += [f"{width}: {line}" for line in browser.execute_script(LOOK)]
    for theme in ("light", "dark"):
        wrong += browser.execute_script(CONTRAST, theme)
    wrong += links_into_nothing(browser)
    wrong += [f"console: {entry['message']}" for entry in browser.get_log("browser")
              if entry["level"] in ("SEVERE", "WARNING")]
    return wrong


def search_finds(browser, book, words, page):
    browser.get((book / "search.html").as_uri() + "?q=" + urllib.parse.quote(words))
    try:
        WebDriverWait(browser, PATIENCE).until(
            lambda b: any(page in (a.get_attribute("href") or "")
                          for a in b.find_elements(By.CSS_SELECTOR, "#search-results a")))
    except Exception:  # selenium's own, of several kinds
        return [f"\"{words}\" does not lead to {page}"]
    return []


def main(arguments):
    if len(arguments) > 1:
        print("usage: check.py [FOLDER]", file=sys.stderr)
        return 2
    book = pathlib.Path(arguments[0]).resolve() if arguments else BOOK
    pages = sorted(p for p in book.rglob("*.html") if "_static" not in p.parts)
    if not pages:
        print(f"book-check: {book} holds no pages: make book", file=sys.stderr)
        return 1
    try:
        browser = start()
    except Exception as error:
        print(f"book-check: no browser: {str(error).splitlines()[0]}", file=sys.stderr)
        return 4
    passed = failed = 0
    try:
        results = [(str(p.relative_to(book)), look_at(browser, p)) for p in pages]
        results.append(("search", search_finds(browser, book, "online softmax", "07_flash_tiling")))
    finally:
        browser.quit()
    for name, wrong in results:
        passed, failed = passed + (not wrong), failed + bool(wrong)
        print(f"ok - {name}" if not wrong else f"not ok - {name}")
        for line in list(dict.fromkeys(wrong))[:6]:
            print("    " + line)
    print(f"book-check: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":  # tests/viewer.py asks for its parts
    sys.exit(main(sys.argv[1:]))
