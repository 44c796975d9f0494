"""Write the Python blocks of a Markdown page into files of their own, so that type checkers can read them.

``python tests/typing/extract.py README.md build/types`` writes ``build/types/readme_1.py`` and so on.
"""

import re
import sys
from pathlib import Path

page, folder = map(Path, sys.argv[1:])
for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL), 1):
    (folder / f"{page.stem.lower()}_{number}.py").write_text(f'"""Block {number} of {page.name}."""\n\n{block}')
