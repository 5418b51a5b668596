"""What the tools declare of themselves, and what they say to every kind of bad call."""

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openai.types.chat import ChatCompletionToolParam
from pydantic import TypeAdapter

from agent_env.sandbox.base import Sandbox
from agent_env.tools import Observation, ToolCall
from agent_env.tools.arguments import MAX_TEXT_CHARS
from tests.agent_env.tools.using import TOOLS, run


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("python", {}, "no tool 'python'. The tools are: bash, edit, search, submit"),
        ("x" * 500, {}, "no tool 'xxx"),
        ("bash", {}, "argument 'command' is missing. Expected: command (string), timeout (number, optional)"),
        ("bash", {"command": None}, "argument 'command' is missing"),
        ("bash", {"cmd": "ls", "command": "ls"}, "unknown argument 'cmd'"),
        ("bash", {"command": 7}, "argument 'command': Input should be a valid string, got 7"),
        ("bash", {"command": ["ls", "-l"]}, "argument 'command': Input should be a valid string"),
        ("bash", {"command": "ls", "timeout": "soon"}, "got 'soon'"),
        ("bash", {"command": "ls", "timeout": float("nan")}, "timeout"),
        ("bash", {"command": "ls", "timeout": -1}, "timeout"),
        ("bash", {"command": "a\0b"}, "NUL"),
        ("bash", {"command": "\ud800"}, "not valid Unicode"),
        ("bash", {"command": "x" * (MAX_TEXT_CHARS + 1)}, f"at most {MAX_TEXT_CHARS}"),
        ("submit", {"answer": "42"}, "unknown argument 'answer'. Expected: no arguments"),
        ("edit", {"command": "view"}, "argument 'path' is missing"),
        ("edit", {"command": "undo", "path": "a.py"}, "'view', 'create', 'str_replace', 'insert' or 'undo_edit'"),
        ("edit", {"command": "undo_edit", "path": "never.py"}, "no edit of never.py to undo"),
        ("edit", {"command": "undo_edit", "path": "a.py", "new_str": "x"}, "undo_edit does not take new_str"),
        ("edit", {"command": "create", "path": "b.py", "file_text": ["x"]}, "got ['x']"),
        ("edit", {"command": "create", "path": "b.py", "file_text": "x" * 10_000_000}, "is 10000000 characters"),
        ("edit", {"command": "create", "path": "b.py", "file_text": "\udc80"}, "not valid Unicode"),
        ("search", {}, "give pattern"),
        ("search", {"pattern": "x\ny"}, "line break"),
        ("search", {"pattern": "("}, "no regular expression"),
        ("search", {"glob": "pkg/*.py"}, "Folders go into path"),
        ("search", {"pattern": "x", "path": ""}, "path is empty"),
        ("search", {"pattern": "x", "path": "nowhere"}, "nowhere does not exist"),
        ("search", {"pattern": 7}, "got 7"),
        ("search", {"pattern": "x", "limit": 5}, "unknown argument 'limit'"),
        ("edit", {"command": "view", "path": " "}, "'path' is empty"),
        ("edit", {"command": "create", "path": "b.py"}, "create needs file_text. It takes: path, file_text"),
        ("edit", {"command": "view", "path": "a.py", "old_str": "x"}, "view does not take old_str"),
        ("edit", {"command": "str_replace", "path": "a.py"}, "str_replace needs old_str"),
        ("edit", {"command": "insert", "path": "a.py", "insert_line": "two", "new_str": "x"}, "got 'two'"),
        ("edit", {"command": "view", "path": "a.py", "view_range": "all"}, "view_range"),
        ("edit", {"command": "view", "path": "a.py", "view_range": "[" * 100_000}, "view_range"),
        ("edit", {"command": "view", "path": "a.py", "view_range": "[" * 900 + "]" * 900}, "view_range"),
        ("edit", {"command": "view", "path": "a.py", "view_range": f"[1, {'9' * 4000}]"}, "view_range"),
        ("edit", {"command": "view", "path": "a" * 5000}, "cannot view"),
    ],
)
def test_bad_calls_are_answered(sandbox: Sandbox, name: str, arguments: dict[str, Any], says: str) -> None:
    text = run(sandbox, name, **arguments)
    assert text.startswith("Error: ")
    assert says in text
    assert len(text) <= 2100
    assert run(sandbox, "bash", command="cat a.py") == "one = 1\ntwo = 2\nthree = 3"


def test_null_arguments_count_as_absent(sandbox: Sandbox) -> None:
    assert run(sandbox, "bash", command="echo x", timeout=None) == "x"


def test_submit(sandbox: Sandbox) -> None:
    assert TOOLS.execute(sandbox, ToolCall("submit")) == Observation("Submitted.", submitted=True)


class TestSchemas:
    def test_they_are_plain(self) -> None:
        for declared in TOOLS.schemas():
            assert not {"$ref", "$defs", "anyOf", "oneOf", "allOf", "title", "default"} & set(
                json.dumps(declared).split('"')
            )
            properties = declared["function"]["parameters"]["properties"]
            assert all({"type", "description"} <= set(about) for about in properties.values())

    def test_openai(self) -> None:
        """As the API reference has it: a function tool with a name of the allowed letters and a JSON schema object."""
        for declared in TOOLS.schemas("openai"):
            assert set(declared) == {"type", "function"}
            assert declared["type"] == "function"
            function = declared["function"]
            assert set(function) == {"name", "description", "parameters"}
            assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", function["name"])
            assert 0 < len(function["description"]) <= 1024
            check_object_schema(function["parameters"])

    def test_openais_client_takes_them(self) -> None:
        """Its own type takes every key and drops none, as it would one that it does not know."""
        accepts = TypeAdapter(ChatCompletionToolParam).validate_python
        for declared in TOOLS.schemas("openai"):
            assert accepts(declared, strict=True) == declared

    def test_anthropic(self) -> None:
        """As the API reference has it: name, description and ``input_schema``, whose type is object."""
        for declared in TOOLS.schemas("anthropic"):
            assert set(declared) == {"name", "description", "input_schema"}
            assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", declared["name"])
            check_object_schema(declared["input_schema"])

    @pytest.mark.parametrize(
        ("name", "arguments", "valid"),
        [
            ("bash", {"command": "ls"}, True),
            ("bash", {"command": "ls", "timeout": 1.5}, True),
            ("bash", {"command": "ls", "timeout": -1}, False),
            ("bash", {"command": 7}, False),
            ("bash", {}, False),
            ("bash", {"command": "ls", "shell": "sh"}, False),
            ("edit", {"command": "view", "path": "a", "view_range": [1, 2]}, True),
            ("edit", {"command": "undo_edit", "path": "a"}, True),
            ("edit", {"command": "delete", "path": "a"}, False),
            ("edit", {"command": "view", "path": "a", "view_range": ["x"]}, False),
            ("search", {"pattern": "x", "glob": "*.py", "path": "a"}, True),
            ("submit", {}, True),
            ("submit", {"answer": 42}, False),
        ],
    )
    def test_they_agree_with_the_check(
        self, sandbox: Sandbox, name: str, arguments: dict[str, Any], valid: bool
    ) -> None:
        (schema,) = [one["input_schema"] for one in TOOLS.schemas("anthropic") if one["name"] == name]
        assert Draft202012Validator(schema).is_valid(arguments) == valid
        said = run(sandbox, name, **arguments)
        assert ("Expected: " in said) == (not valid)


def check_object_schema(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["type"] == "object"
    assert set(schema) == {"type", "properties", "required", "additionalProperties"}
    assert set(schema["required"]) <= set(schema["properties"])
