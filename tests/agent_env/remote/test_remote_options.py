"""Options of the remote mode that are refused, by its classes and by its command."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agent_env.env import SWEEnv
from agent_env.remote.client import RemoteSWEEnv
from repodojo.cli import main
from tasks.errors import BadInputError
from tasks.pool import Pool
from tests.agent_env.remote.serving import KEY

if TYPE_CHECKING:
    from agent_env.remote.server import EnvServer

pytestmark = pytest.mark.slow  # OpenEnv alone takes seconds to import


URLS_THAT_ARE_NONE = [
    *("", "localhost:8200", "ftp://localhost", "http://"),
    *("http://localhost:82000", "http://localhost:x", "http://localhost:0", "http://[::1"),
]


class TestOptions:
    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"host": "0.0.0.0"}, "give an API key"),
            ({"host": "example.org"}, "give an API key"),
            ({"host": "::"}, "give an API key"),
            ({"api_key": ""}, "has 0 characters; expected at least 16"),
            ({"api_key": "short"}, "has 5 characters"),
            ({"api_key": "with a blank in it, and long"}, "without blanks"),
            ({"max_sessions": 0}, "expected a number above 0"),
            ({"idle_seconds": -1}, "expected a number above 0"),
            ({"port": 70_000}, "expected 0 to 65535"),
            ({"tls_cert": Path("x")}, "give both"),
        ],
    )
    def test_bad_ones(self, given: dict[str, Any], says: str) -> None:
        from agent_env.remote.server import ServeOptions

        with pytest.raises(BadInputError, match=says):
            ServeOptions(**given)

    def test_an_address_that_is_taken(self, server: "EnvServer", env: SWEEnv) -> None:
        from agent_env.remote.server import EnvServer, ServeOptions

        with pytest.raises(BadInputError, match="cannot listen at"):
            EnvServer(env, ServeOptions(port=server.port))

    def test_the_wrong_key(self, server: "EnvServer", monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(BadInputError, match="needs its API key"):
            RemoteSWEEnv(server.url, api_key="another key").reset()
        monkeypatch.setenv("REPODOJO_API_KEY", KEY)
        with RemoteSWEEnv(server.url) as remote:
            assert remote.reset()[1]["step"] == 0

    @pytest.mark.parametrize("url", URLS_THAT_ARE_NONE)
    def test_urls_that_are_none(self, url: str) -> None:
        with pytest.raises(BadInputError, match="expected http://HOST:PORT"):
            RemoteSWEEnv(url)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "give an API key"),
        (["--api-key-file", "/nowhere"], "cannot be read from /nowhere"),
        (["--port", "99999"], "expected 0 to 65535"),
        (["--split", "none"], "expected all, train or test"),
    ],
)
def test_bad_arguments_exit_with_2(
    bare_pool: Pool,
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("REPODOJO_API_KEY", raising=False)
    assert main(["serve", str(bare_pool.path), *arguments]) == 2
    assert says in capsys.readouterr().err
