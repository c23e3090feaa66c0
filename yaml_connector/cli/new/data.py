"""Data that is made to fit paths."""

from __future__ import annotations

import json
import re
from typing import Any


def data_at(values: dict[str, Any]) -> Any:
    """Return data in which every path finds its value."""
    root: Any = {}
    for path, value in values.items():
        parts = re.findall(r"\.([A-Za-z_]\w*)|\[\"((?:[^\"\\]|\\.)*)\"\]|\[(\*|\d+)\]", path)
        if not parts:
            return value
        node = root
        if not isinstance(node, list if parts[0][2] else dict) and root:
            continue
        for number, (name, quoted, index) in enumerate(parts):
            last = number == len(parts) - 1
            following = None if last else parts[number + 1]
            empty: Any = value if last else [] if following is not None and following[2] else {}
            if not isinstance(node, list if index else dict) and not (number == 0 and index):
                break  # another path has something else here
            if index:
                if number == 0 and not isinstance(root, list):
                    root = node = []
                position = 0 if index == "*" else int(index)
                while len(node) <= position:
                    node.append({} if not last else value)
                if last:
                    node[position] = value
                elif not isinstance(node[position], dict | list) or node[position] == {}:
                    node[position] = empty
                node = node[position]
            else:
                key = name or json.loads(f'"{quoted}"')
                if last:
                    node[key] = value
                else:
                    node = node.setdefault(key, empty)
    return root
