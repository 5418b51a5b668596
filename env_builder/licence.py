"""The licence of a source tree: as an SPDX expression where it states one, or shows one by its text."""

import re
import tomllib
from configparser import ConfigParser
from configparser import Error as ConfigError
from email.parser import HeaderParser
from pathlib import Path

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

UNKNOWN = "unknown"

_BY_TEXT = (
    ("Apache-2.0", r"apache license,?\s+version 2\.0"),
    ("MPL-2.0", r"mozilla public license,?\s+(version |v\. ?)2\.0"),
    ("AGPL-3.0-only", r"gnu affero general public license\s+version 3"),
    ("LGPL-3.0-only", r"gnu lesser general public license\s+version 3"),
    ("LGPL-2.1-only", r"gnu lesser general public license\s+version 2\.1"),
    ("GPL-3.0-only", r"gnu general public license\s+version 3"),
    ("GPL-2.0-only", r"gnu general public license\s+version 2"),
    ("Unlicense", r"this is free and unencumbered software released into the public domain"),
    ("PSF-2.0", r"python software foundation license version 2"),
    ("ISC", r"permission to use, copy, modify,? and/or distribute this software for any"),
    ("MIT", r"permission is hereby granted, free of charge, to any person obtaining a copy"),
    ("BSD-3-Clause", r"redistribution and use in source and binary forms.*\bneither the name"),
    ("BSD-3-Clause", r"redistribution and use in source and binary forms.*\b(may not|nor) .{0,80}\bbe used to endorse"),
    ("BSD-2-Clause", r"redistribution and use in source and binary forms"),
)
"""Words that tell a licence text, the first match wins."""

_BY_CLASSIFIER = {
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Apache Software License": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "ISC License (ISCL)": "ISC",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
}
"""Classifiers that mean one licence; ``BSD License`` means several and is absent."""


def find_licence(tree: Path) -> str:
    """The licence of the project in ``tree``; never fails, ``unknown`` where nothing tells.

    A stated SPDX expression comes before a licence file's text, that before a classifier, that before free words.
    """
    stated, classifiers = _metadata(tree)
    for words in stated:
        try:
            return canonicalize_license_expression(words)
        except InvalidLicenseExpression:
            continue
    by_text = _licence_of_texts(tree)
    if by_text:
        return by_text
    for classifier in classifiers:
        last = classifier.split("::")[-1].strip()
        if classifier.startswith("License ::") and last in _BY_CLASSIFIER:
            return _BY_CLASSIFIER[last]
    short = [words for words in stated if len(words) <= 80 and "\n" not in words]
    return short[0] if short else UNKNOWN


def _metadata(tree: Path) -> tuple[list[str], list[str]]:
    """What pyproject.toml, PKG-INFO and setup.cfg state: licence words, classifiers."""
    stated: list[str] = []
    classifiers: list[str] = []
    try:
        project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
        licence = project.get("license")
        stated += [licence] if isinstance(licence, str) else [licence["text"]] if "text" in (licence or {}) else []
        classifiers += [text for text in project.get("classifiers", []) if isinstance(text, str)]
    except (OSError, ValueError, AttributeError, TypeError):
        pass
    if (tree / "PKG-INFO").is_file():
        headers = HeaderParser().parsestr((tree / "PKG-INFO").read_text(encoding="utf-8", errors="replace"))
        stated += [str(value) for name in ("License-Expression", "License") for value in headers.get_all(name, [])]
        classifiers += [str(value) for value in headers.get_all("Classifier", [])]
    config = ConfigParser(interpolation=None, strict=False)
    try:
        config.read(tree / "setup.cfg", encoding="utf-8")
        stated += [config.get("metadata", "license", fallback="")]
        classifiers += config.get("metadata", "classifiers", fallback="").split("\n")
    except (ConfigError, UnicodeDecodeError):
        pass
    words = [str(text).strip() for text in stated]
    return [text for text in words if text and text.upper() != "UNKNOWN"], classifiers


def _licence_of_texts(tree: Path) -> str | None:
    names = re.compile(r"^(licen[cs]e|copying|unlicense)([.-].*)?$", re.IGNORECASE)
    for path in sorted(path for path in tree.iterdir() if path.is_file() and names.match(path.name)):
        text = re.sub(r"\s+", " ", path.read_text(encoding="utf-8", errors="replace").lower())
        for spdx, pattern in _BY_TEXT:
            if re.search(pattern, text):
                return spdx
    return None
