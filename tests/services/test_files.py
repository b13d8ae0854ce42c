"""Generated secrets: made once, whoever comes at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vcon_platform.services.files import ensure_secret
from vcon_platform.settings import Settings


def test_processes_that_start_together_have_the_same_secret_and_none_has_half_of_it(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir_setting=tmp_path)
    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(lambda number: ensure_secret(settings, f"key{number // 8}"), range(80)))
    assert [len(set(told[first : first + 8])) for first in range(0, 80, 8)] == [1] * 10
    assert all(len(secret) == 32 for secret in told)
    files = list((tmp_path / "secrets").iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert len(files) == 10
