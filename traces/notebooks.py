"""Notebooks from their sources: traces/source/NAME.md becomes traces/NAME.ipynb, executed.

    python3 traces/notebooks.py             all of them
    python3 traces/notebooks.py 03 05       some
    python3 traces/notebooks.py --check     executes, and compares with what is committed

A source is Markdown; each fence that begins with ```python is a cell of code. What is written holds
nothing of the machine: no time, no path, no version, and cells have fixed ids, so that a small
change stays a small diff. Compared is everything but the bytes of pictures: these
hang on the fonts.

Exit: 0, 1 a cell failed or something differs, 2 usage, 4 a package is not here.
"""

import os
import pathlib
import re
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
os.environ["PYTHONDONTWRITEBYTECODE"] = "1" # show.py leaves nothing beside itself

try:
    import nbformat
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from nbconvert.preprocessors import ExecutePreprocessor
    import ipykernel, numpy # what the kernel will need
except ImportError as missing:
    print(f"notebooks: {missing.name} is not here: make setup installs it (Debian: "
          "jupyter-nbconvert python3-ipykernel python3-numpy)", file=sys.stderr)
    sys.exit(4)


class ThisPython(KernelSpecManager):
    """The kernel is the Python that runs this, not one that Jupyter knows by the same name."""

    def get_kernel_spec(self, kernel_name):
        command = [sys.executable, "-Xfrozen_modules=off", # else the debugger warns
                   "-m", "ipykernel_launcher", "--log-level=ERROR", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


class Kernel(AsyncKernelManager):
    """Of that Python."""

    def __init__(self, **settings):
        super().__init__(kernel_spec_manager=ThisPython(), **settings)


def read(source):
    """The notebook that a source describes, not executed."""
    notebook = nbformat.v4.new_notebook()
    notebook.nbformat_minor = 5 # the first with ids
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for part in re.split(r"^(```python\n.*?^```\n)", source.read_text(), flags=re.M | re.S):
        if not part.strip():
            continue
        code = part.startswith("```python\n")
        body = part[len("```python\n"):-len("```\n")] if code else part
        make = nbformat.v4.new_code_cell if code else nbformat.v4.new_markdown_cell
        cell = make(body.strip("\n"))
        cell.id = f"{source.stem[:2]}-{len(notebook.cells) + 1:02}"
        notebook.cells.append(cell)
    return notebook


def execute(notebook):
    """Runs all cells from the top, and keeps of each only what it says."""
    metadata = dict(notebook.metadata)
    ExecutePreprocessor(timeout=120, record_timing=False, kernel_name="python3",
                        kernel_manager_class=Kernel).preprocess(
        notebook, {"metadata": {"path": str(HERE)}})
    notebook.metadata = metadata # the kernel put its version there
    count = 0
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            cell.outputs = joined(cell.outputs)
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = count
                if "image/png" in output.get("data", {}): # some versions end it with a new line
                    output.data["image/png"] = output.data["image/png"].strip()


def joined(outputs):
    """One output a stream: how a kernel cuts what is printed hangs on the clock."""
    whole = []
    for output in outputs:
        if output.output_type == "stream" and whole and whole[-1].get("name") == output.name:
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


def said(cell):
    """What a cell says, as text; of a picture only that it is there."""
    lines = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if output.output_type == "stream":
            lines.append(output.text.rstrip("\n"))
        elif "image/png" in data:
            lines.append("[a picture]")
        else:
            lines.append(data.get("text/plain", str(output)))
    return "\n".join(lines)


def first_difference(ours, theirs):
    """Between a notebook as it is now and as it is committed; None if there is none."""
    if [(c.cell_type, c.id, c.source) for c in ours.cells] != \
            [(c.cell_type, c.get("id"), c.source) for c in theirs.cells]:
        return "its source has changed since"
    if ours.metadata != theirs.metadata:
        return "its metadata is not what make notebooks writes"
    for mine, old in zip(ours.cells, theirs.cells):
        if said(mine) != said(old):
            return f"cell {mine.id} says something else:\n{differing_lines(said(old), said(mine))}"
        if mine.get("execution_count") != old.get("execution_count") or old.metadata:
            return f"cell {mine.id} was executed by hand"
    return None


def differing_lines(old, new):
    """The first few lines that are not the same, the committed one first."""
    old, new = old.splitlines(), new.splitlines()
    longest = max(len(old), len(new))
    pairs = zip(old + [""] * (longest - len(old)), new + [""] * (longest - len(new)))
    return "\n".join([f"    - {a}\n    + {b}" for a, b in pairs if a != b][:4])


def check(name, notebook):
    """One `ok - ` or `not ok - ` line; True or False."""
    file = HERE / f"{name}.ipynb"
    if not file.exists():
        print(f"not ok - {name}: traces/{file.name} is not there: make notebooks")
        return False
    theirs = nbformat.read(file, as_version=4)
    wrong = first_difference(notebook, theirs)
    text = file.read_text()
    if not wrong and (str(ROOT) in text or sys.executable in text):
        wrong = "it names a folder of a machine"
    if wrong:
        print(f"not ok - {name}: {wrong}\n    (make notebooks writes it anew)")
        return False
    print(f"ok - {name}: {len(notebook.cells)} cells say what they said")
    return True


def write(name, notebook):
    """traces/NAME.ipynb, whole or not at all."""
    new = HERE / f"{name}.ipynb.new"
    try:
        nbformat.write(notebook, str(new))
        new.replace(HERE / f"{name}.ipynb")
    finally:
        new.unlink(missing_ok=True)
    print(f"notebooks: traces/{name}.ipynb", flush=True)


def make(name, source, checking):
    """One notebook; True if all is well."""
    notebook = read(source)
    try:
        execute(notebook)
    except (CellExecutionError, CellTimeoutError, DeadKernelError, RuntimeError) as error:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).rstrip()
        print(f"not ok - {name}: a cell failed\n" + re.sub("^", "    ", plain, flags=re.M))
        return False
    if checking:
        return check(name, notebook)
    write(name, notebook)
    return True


def orphans(sources):
    """Notebooks that no source describes: nobody would notice when they go stale."""
    lost = sorted(file.name for file in HERE.glob("*.ipynb") if file.stem not in sources)
    for name in lost:
        print(f"not ok - traces/{name}: it has no source in traces/source")
    return lost


def main(arguments):
    checking = "--check" in arguments
    sources = {s.stem: s for s in sorted((HERE / "source").glob("[0-9]*.md"))}
    chosen = []
    for word in arguments:
        found = [name for name in sources if name == word or name.split("_")[0] == word]
        if word != "--check" and not found:
            print(f"notebooks: {word}: expected --check or one of {' '.join(sources)}",
                  file=sys.stderr)
            return 2
        chosen += found
    with tempfile.TemporaryDirectory() as own: # the reader's own start-up files change nothing
        os.environ["IPYTHONDIR"] = os.environ["JUPYTER_RUNTIME_DIR"] = own
        good = [make(name, sources[name], checking) for name in chosen or sources]
    if checking and not chosen and orphans(sources):
        return 1
    return 0 if all(good) else 1


sys.exit(main(sys.argv[1:]))
