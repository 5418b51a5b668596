"""Problem statements by a language model, from any server that speaks OpenAI's chat completions; checked for leaks."""

import json
import re
from collections.abc import Sequence
from typing import Any

import requests
from jinja2 import Environment, PackageLoader, StrictUndefined

from agent_env.grading import TestOutcome
from env_builder.errors import StatementRefusedError
from env_builder.statement_leaks import hidden_ids, statement_leaks
from tasks.errors import BadInputError, InfraError
from tasks.task import Statement
from tasks.tree import Edits

ATTEMPTS = 3
"""Texts that the model may write; after each that leaks it is told why."""

TIMEOUT = 120.0
"""Seconds that one answer may take."""

MOST_WORDS = 300
"""Length of a statement that the model is asked for."""

LONGEST_INPUT = 24_000
"""Characters of tests, and of the patch, that the model is shown; the rest is cut off."""

_THINKING = re.compile(r"<think>.*?</think>", re.DOTALL)
_FENCE = re.compile(r"^```(?:markdown|md)?\n(.*)\n```$", re.DOTALL)


class LLMWriter:
    """Writes statements with a model behind an OpenAI-compatible server.

    Args:
        base_url: as other clients take it, ``http://host:8000/v1``.
        model: name of the model on that server.
        api_key: sent as bearer token, where the server wants one.
        timeout: seconds for one answer.

    Raises:
        BadInputError: the URL is no http(s) URL.
    """

    def __init__(self, base_url: str, model: str, api_key: str | None = None, *, timeout: float = TIMEOUT) -> None:
        if not re.match(r"^https?://[^/\s]+", base_url):
            raise BadInputError(
                f"{base_url!r} is no address of a model server: expected http://HOST:PORT/v1 or https://..."
            )
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._model = model
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout = timeout

    def write(
        self, draft: Statement, *, gold_patch: str, hidden_files: Edits, failures: Sequence[TestOutcome]
    ) -> Statement:
        """Rewrite a draft.

        Args:
            draft: the statement that was written without a model: the facts.
            gold_patch: the solution; the model sees it, the statement may not quote it.
            hidden_files: the hidden tests, shown and protected likewise.
            failures: outcomes of the hidden tests, whose ids may not be named.

        Raises:
            StatementRefusedError: every text of the model leaked, or was empty.
            InfraError: the server cannot be reached, is too slow, or answers with an error or with something else
                than a completion.
        """
        secret = [*hidden_ids(hidden_files), *(failure.id for failure in failures)]
        findings: list[str] = []
        for _ in range(ATTEMPTS):
            text = self._ask(_prompt(draft, gold_patch, hidden_files, findings))
            findings = statement_leaks(text, secret, gold_patch) or ([] if text else ["was empty"])
            if not findings:
                return Statement(text=text + "\n", method=f"llm:{self._model}")
        raise StatementRefusedError(
            f"model {self._model} was refused {ATTEMPTS} times; its last text {'; '.join(findings)}"
        )

    def _ask(self, prompt: str) -> str:
        request: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0.7,
        }
        try:
            answer = requests.post(self._url, json=request, headers=self._headers, timeout=self._timeout)
        except requests.RequestException as error:
            raise InfraError(f"the model server at {self._url} cannot be asked: {error}") from error
        if answer.status_code != requests.codes.ok:
            raise InfraError(f"the model server at {self._url} answered {answer.status_code}: {answer.text[:500]}")
        return _content(answer)


def _content(answer: requests.Response) -> str:
    """The text of a completion, without a model's thoughts and without a fence around all of it."""
    try:
        body: Any = answer.json()
        text = body["choices"][0]["message"]["content"]
    except (json.JSONDecodeError, requests.JSONDecodeError, KeyError, IndexError, TypeError) as error:
        raise InfraError(
            f"the model server at {answer.url} answered with no chat completion (expected"
            f" choices[0].message.content): {answer.text[:500]}"
        ) from error
    plain = _THINKING.sub("", text or "").strip()
    fenced = _FENCE.match(plain)
    return fenced.group(1).strip() if fenced else plain


def _prompt(draft: Statement, gold_patch: str, hidden_files: Edits, findings: Sequence[str]) -> str:
    tests = "\n\n".join(content.decode(errors="replace") for content in hidden_files.values() if content)
    environment = Environment(
        loader=PackageLoader("env_builder", "."), undefined=StrictUndefined, trim_blocks=True, autoescape=False
    )
    return environment.get_template("statement_prompt.md.j2").render(
        draft=draft.text,
        hidden_tests=tests[:LONGEST_INPUT],
        gold_patch=gold_patch[:LONGEST_INPUT],
        findings=findings,
        most_words=MOST_WORDS,
    )
