"""The secret key: made once, for its owner only."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor

from pydantic import SecretStr

from bot.secrets import digest, secret_key
from bot.settings import Settings


def test_the_key_is_made_once_and_readable_by_its_owner_only(settings: Settings) -> None:
    key = secret_key(settings)
    assert len(key) == 64
    assert secret_key(settings) == key
    assert stat.S_IMODE((settings.var_dir / "secret.key").stat().st_mode) == 0o600
    assert [path.name for path in settings.var_dir.iterdir()] == ["secret.key"]


def test_many_that_start_at_once_share_one_key(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: secret_key(settings), range(64)))
    assert len(keys) == 1


def test_the_environment_wins(settings: Settings) -> None:
    key = "k" * 32
    assert secret_key(settings.model_copy(update={"secret_key": SecretStr(key)})) == key.encode()
    assert not (settings.var_dir / "secret.key").exists()


def test_digests_differ_by_purpose_and_value(settings: Settings) -> None:
    told = {digest(settings, "lookup", "K7"), digest(settings, "otp", "K7"), digest(settings, "lookup", "K8")}
    assert len(told) == 3
    assert digest(settings, "lookup", "K7") in told
