"""Edits /etc/nuncio/nuncio.toml as an operator does, with lines of the documentation from standard input.

Arguments: `domain` replaces the domain `localhost` with the lines; `listen` sets the keys of [listen] in the lines.
"""

import re
import sys

PATH = "/etc/nuncio/nuncio.toml"
with open(PATH, encoding="utf-8") as file:
    text = file.read()
lines = sys.stdin.read()

if sys.argv[1] == "domain":
    text, done = re.subn(r'^\[\[domain\]\]\nname = "localhost"\n', lambda _: lines, text, count=1, flags=re.M)
    assert done == 1, "there is no domain localhost"
else:
    for line in lines.splitlines():
        key = line.partition("=")[0].strip()
        if line.startswith("[") or not line:
            continue
        text, done = re.subn(rf"^{key} = .*$", lambda _: line, text, count=1, flags=re.M)
        if not done:
            text = text.replace("[listen]\n", f"[listen]\n{line}\n", 1)

# Not a new file: owner and mode stay.
with open(PATH, "r+", encoding="utf-8") as file:
    file.write(text)
    file.truncate()
