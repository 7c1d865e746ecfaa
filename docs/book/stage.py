"""Lays out the book's pages: python3 docs/book/stage.py FOLDER

Pages are the project's own Markdown files, where they are, and its notebooks. In FOLDER they keep
their places, and each source file that one of them links to becomes a page under code/, which
includes that file: the book shows the file's own lines. A folder becomes its README, or a list of what is in it.
What a link names must be there: exit 1 says which one is not, 2 is usage.
"""

import os
import pathlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FRONT = ROOT / "docs" / "book" / "index.md"  # it moves to the book's own root
ANSWERS = ROOT / "docs" / "book" / "answers.md"  # in the book only
LANGUAGE = {".c": "c", ".h": "c", ".cu": "c++", ".py": "python", ".sh": "bash", ".js": "javascript",
            ".gp": "text", ".awk": "text", ".csv": "text", ".txt": "text", ".gdb": "text",
            ".jsonl": "text", ".pal": "text", "": "text"}
PICTURES = {".svg", ".png"}


def pages():
    """Every Markdown file that is a page, and every notebook."""
    for pattern in ("README.md", "chapters/*/README.md", "kernels/README.md", "kernels/*/README.md",
                    "docs/*.md", "docs/book/*.md", "traces/*.ipynb"):
        yield from sorted(ROOT.glob(pattern))


def copy(file, into):
    to = into / file.relative_to(ROOT)
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, to)


def write(to, title, body):
    """A page that no table of contents names: it is reached by its links."""
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(f"---\norphan: true\n---\n\n# {title}\n\n{body}\n")
    return to


def code_page(file, into):
    """A page under code/ that includes `file`."""
    name = file.relative_to(ROOT)
    copy(file, into / "code")
    return write(into / "code" / f"{name}.md", name,
                 f"```{{literalinclude}} {file.name}\n"
                 f":language: {LANGUAGE[file.suffix]}\n:linenos:\n```")


def folder_page(folder, into):
    """A page that lists a folder without a README: each file a link to its own page."""
    lines = []
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.suffix in LANGUAGE:
            lines.append(f"- [{file.name}]({code_page(file, into).name})")
        elif file.suffix in PICTURES:
            copy(file, into / "code")
            lines.append(f"- {file.name}\n\n  ![{file.name}]({file.name})")
    name = folder.relative_to(ROOT)
    return write(into / "code" / name / "index.md", f"{name}/", "\n".join(lines))


def resolve(page, target, into, known):
    """What a link to `target` on `page` becomes in the book."""
    path, _, anchor = target.partition("#")
    if not path or re.match(r"[a-z]+:", path):
        return target
    here = ROOT if page == FRONT else page.parent
    file = (here / path).resolve()
    if page == FRONT and file == ANSWERS:
        return target
    if not file.exists():
        raise LookupError(f"{page.relative_to(ROOT)}: links to {target}, which is not there")
    if file in known:
        return target
    if file.suffix in PICTURES:
        copy(file, into)
        return target
    if file.is_dir():
        to = into / file.relative_to(ROOT) / "README.md" if file / "README.md" in known \
            else folder_page(file, into)
    elif file.suffix in LANGUAGE:
        to = code_page(file, into)
    else:
        raise LookupError(f"{page.relative_to(ROOT)}: links to {target}: no page can show it")
    return os.path.relpath(to, into / here.relative_to(ROOT))


def stage_page(page, into, known):
    """The page with its links turned; code, between fences or backticks, stays as it is."""
    kept = []

    def keep(found):
        kept.append(found[0])
        return f"\0{len(kept) - 1}\0"

    text = re.sub(r"^```.*?^```|`[^`\n]+`", keep, page.read_text(), flags=re.M | re.S)
    text = re.sub(r"\]\(([^()\s]+)\)", lambda m: f"]({resolve(page, m[1], into, known)})", text)
    text = re.sub("\0(\\d+)\0", lambda m: kept[int(m[1])], text)
    to = into / page.relative_to(ROOT)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(text)


def answers():
    """All chapters' questions on one page, with the answers open."""
    lines = ["# Answers", "", "The questions that stand at the end of the chapters, unfolded. What an answer "
             "calls \"above\" is in its chapter."]
    for chapter in sorted(ROOT.glob("chapters/*/README.md")):
        text = chapter.read_text()
        found = re.findall(r"<details><summary>(.*?)</summary>\n+(.*?)\n*</details>", text, re.S)
        if not found:
            raise LookupError(f"{chapter.relative_to(ROOT)}: asks no question")
        lines += ["", "## " + text.splitlines()[0].lstrip("# "),
                  "", f"[The chapter](../../{chapter.relative_to(ROOT)})"]
        for question, answer in found:
            lines += ["", f"**{question}**", "", answer]
    return "\n".join(lines) + "\n"


def main(arguments):
    if len(arguments) != 1:
        print("usage: stage.py FOLDER", file=sys.stderr)
        return 2
    into = pathlib.Path(arguments[0]).resolve()
    shutil.rmtree(into, ignore_errors=True)
    known = set(pages())
    try:
        (into / "docs" / "book").mkdir(parents=True)
        (into / ANSWERS.relative_to(ROOT)).write_text(answers())
        for page in known:
            if page.suffix == ".md":
                stage_page(page, into, known)
            else:
                copy(page, into)
    except LookupError as error:
        print(f"book: {error}", file=sys.stderr)
        return 1
    shutil.copytree(ROOT / "docs" / "book" / "_static", into / "_static")
    (into / "docs" / "book" / "index.md").replace(into / "index.md")
    return 0


sys.exit(main(sys.argv[1:]))
