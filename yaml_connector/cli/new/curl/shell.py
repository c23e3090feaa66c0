"""Finds the commands of a page: scripts, wikis and Markdown, for bash, Windows' cmd and PowerShell.

Text that is not a command is skipped. A kept library does not do this: shlex knows neither `$'...'` nor `$(...)`, and
bashlex (GPL) wants a whole valid script.
"""

from __future__ import annotations

import re
from dataclasses import replace

from yaml_connector.cli.new.curl.bash import NAME, Shell, ShellError
from yaml_connector.cli.new.curl.tokens import Command
from yaml_connector.cli.new.curl.windows import Cmd, PowerShell

_MOST_COMMANDS = 2000
_MOST_SKIPPED = 40
_LONGEST = 1500  # lines of a command
_CURL = re.compile(r"(?<![\w./\\-])(?:[\w./\\:-]*[/\\])?curl(?:\.exe)?(?=\s)", re.IGNORECASE)
_PROMPT = re.compile(
    r"^[ \t]*(?:PS(?: [A-Za-z]:[^>\n]*)?> ?|[A-Za-z]:\\[^>\n]*> ?|\([\w.-]+\) ?\$ |[\w.-]+@[\w.-]+[^\n$#]{0,80}[$#] |"
    r"\[[^\]\n]+\][$#] |[$%] |[❯➜»]\s+(?:(?!curl|set|cat|echo)[\w~./-]+\s+)?|# (?=curl\s+-)|>>> ?(?=curl))",
)
_ASSIGNMENT = re.compile(
    rf"^[ \t]*(?:(?:export|local|readonly|declare(?: -\w+)?|set|typeset)[ \t]+)?(?:\$env:|\$)?\"?({NAME})[ \t]?=", re.I
)
_FENCE = re.compile(r"^[ \t]*(```+|~~~+)", re.MULTILINE)
_CONTINUED = {"\\": re.compile(r"\\[ \t]*$"), "^": re.compile(r"\^[ \t]*$"), "`": re.compile(r"`[ \t]*$")}
_INLINE = re.compile(r"(?<![`\w=\"'$])`(?:\$ )?(curl\s[^`]+)`(?!`)")
_CARET = re.compile(r"(?:^|\s)\^\"")
_MORE_OPTIONS = re.compile(r"^[ \t]*(?:--?[A-Za-z][\w-]*\b|[–—][A-Za-z])")


def commands_of(
    page: str, rest: list[tuple[int, str]] | None = None
) -> tuple[list[list[Command]], list[tuple[int, str]]]:
    """Return the pipelines of a page in order, and what was skipped though it looked like one, with its line.

    The lines beside the commands are added to `rest`, with their numbers.
    """
    found: list[list[Command]] = []
    skipped: list[tuple[int, str]] = []
    lines = _code_lines(_cleaned(page))
    index, about = 0, ""
    while index < len(lines) and len(found) < _MOST_COMMANDS and len(skipped) < _MOST_SKIPPED:
        number, line, is_code = lines[index]
        start = _start_of(line) if is_code else None
        if start is None:
            if rest is not None:
                rest.append((number, line))
            words = "" if line.lstrip().startswith(("```", "~~~")) else line.strip().lstrip("#/*-> ").rstrip(":*")
            about = words if words else about
            index += 1
            continue
        pipelines, used = [], 1
        for position in dict.fromkeys((start, _curl_start(line))):
            if position is None:
                continue
            try:
                text = _block(lines, index, position)
                parser = _parser_for(text)(text, number)
                pipelines = parser.statement()
                used = max(1, text.count("\n", 0, parser.position) + (not text[: parser.position].endswith("\n")))
                break
            except ShellError as error:
                message = str(error)
        else:
            if _CURL.search(line):
                skipped.append((number, message))
        found += [[replace(item, about=about) for item in pipeline] for pipeline in pipelines]
        about = "" if any(item.name == "curl" for pipeline in pipelines for item in pipeline) else about
        index += used
    return found, skipped


def _cleaned(page: str) -> str:
    """Return the page with plain line ends and blanks, without what word processors add."""
    page = page.replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", "").replace("\u200b", "")
    return re.sub(r"[\u00a0\u2007\u202f]", " ", page)


def _code_lines(page: str) -> list[tuple[int, str, bool]]:
    """Return the lines with their numbers, without prompts, and whether each may be code: Markdown's fences count if
    there is a curl command in one."""
    lines = page.split("\n")
    fenced, inside, closes = [], False, ""
    for line in lines:
        fence = _FENCE.match(line)
        if fence and (not inside or fence[1].startswith(closes)):
            fenced.append(False)
            inside, closes = not inside, fence[1][:3]
        else:
            fenced.append(inside)
    only_fenced = any(code and _CURL.search(line) for code, line in zip(fenced, lines, strict=True))
    has_prompt = any(_PROMPT.match(line) for line in lines)
    found = []
    for number, line in enumerate(lines, 1):
        code = (fenced[number - 1] or not only_fenced) and not _FENCE.match(line)
        inline = _INLINE.search(line)
        if inline is not None and not fenced[number - 1]:
            found.append((number, line[: inline.start()], False))
            found.append((number, inline[1], True))
            continue
        code = code or re.match(r"(?: {4}|\t)[ \t]*(?:\$ )?curl\s", line) is not None
        bare = _PROMPT.sub("", line)
        if bare == line and has_prompt:
            bare = re.sub(r"^>>? ?", "", line)  # the shell's prompt for more of the same command
        found.append((number, bare, code))
    return found


def _start_of(line: str) -> int | None:
    """Return where the command of a line begins; None if there is none."""
    text = line.lstrip()
    if not text or text.startswith(("#", "//", "REM ", "rem ", "::")):
        return None
    if _ASSIGNMENT.match(line) or re.match(r"\s*(?:cat|echo|printf|read|tee|New-Variable)\b.*(?:<<|>|\||@['\"])", line):
        return len(line) - len(text)
    curl = _curl_start(line)
    if curl is None:
        return None
    before = line[:curl]
    shell = re.search(
        r"[$`(|;&=]|\b(?:do|then|else|if|while|until|time|sudo|trap|watch|timeout|xargs|bash|sh|eval|nohup)\b", before
    )
    return len(line) - len(text) if shell else curl


def _curl_start(line: str) -> int | None:
    found = _CURL.search(line)
    return found.start() if found else None


def _block(lines: list[tuple[int, str, bool]], index: int, start: int) -> str:
    """Return the code from a line on, as far as the command in it may go. A line of options goes on with the command
    above it, though the sign for that got lost."""
    texts = [lines[index][1][start:]]
    open_quotes = _odd_quotes(texts[0], (False, False))
    opened = texts[0].count("(") - texts[0].count(")")
    here = "<<" in texts[0] or "@'" in texts[0] or '@"' in texts[0]
    for _, line, code in lines[index + 1 : index + _LONGEST]:
        if not code:
            break
        before = texts[-1].rstrip()
        if not any(open_quotes) and before and before[-1] not in "\\^`|&;({,":
            if _MORE_OPTIONS.match(line) and _CURL.search(texts[0]):
                texts[-1] = before + " \\"
            elif opened <= 0 and not here and not re.match(r"\s*\|", line):
                break
        open_quotes = _odd_quotes(line, open_quotes)
        opened += line.count("(") - line.count(")")
        here = here or "<<" in line or line.rstrip().endswith(("@'", '@"'))
        texts.append(line)
    return "\n".join(texts)


def _odd_quotes(line: str, before: tuple[bool, bool]) -> tuple[bool, bool]:
    """Return whether a line leaves a single or a double quote open, if it begins so."""
    single, double = before
    for char in re.findall(r"\\.|['\"]", line):
        if char == "'" and not double:
            single = not single
        elif char == '"' and not single:
            double = not double
    return single, double


def _parser_for(text: str) -> type[Shell]:
    """Return the parser of the shell that a command was written for."""
    first = text.split("\n", 1)[0]
    has_carets = _CONTINUED["^"].search(first) or _CARET.search(first)
    if has_carets or re.search(r'curl(\.exe)?[^\n\']*"[^"\n]*\\"', first, re.I):
        is_unix = _CONTINUED["\\"].search(first) or re.search(r"\$\(|\$\{?\w+[^\n]*\\\"|'", first.split('"')[0])
        return Cmd if not is_unix and (has_carets or "%" in first) else Shell
    if re.match(r"\s*set\s+\"?\w+=", text, re.I) or re.search(r"%[A-Za-z_]\w*%", first):
        return Cmd if "$" not in first else Shell
    if (
        (_CONTINUED["`"].search(first) and first.count("`") % 2)
        or "$env:" in first.lower()
        or re.match(r"\s*\$\w+\s*=", first)
    ):
        return PowerShell
    if re.match(r"\s*curl\.exe\b", first, re.I) and not _CONTINUED["\\"].search(first):
        return PowerShell
    return Shell
