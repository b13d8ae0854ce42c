"""What a data engineer sees: the green run, the op graph, the asset graph and a table's page, in a real browser.

Smoke only: facts are taken from GraphQL elsewhere, since pages change with every minor release. With VCON_SCREENSHOTS
set to a folder, the pictures of the docs are taken here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.platform import Platform
from vcon_platform.demo.samples import SAMPLES, archived_calls

pytestmark = pytest.mark.e2e
expect.set_options(timeout=30_000)  # a busy machine shows a page late

# Chromium's own network traffic is switched off: nothing here may leave this machine.
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_PICTURES = os.environ.get("VCON_SCREENSHOTS")


@pytest.fixture(scope="module")
def page(platform: Platform) -> Iterator[Page]:
    """A page of Debian's Chromium, after the sample calls have landed."""
    chromium = shutil.which("chromium")
    if chromium is None and not os.environ.get("CI"):
        pytest.skip("no chromium on this machine: apt-get install chromium")
    platform.until_landed(platform.end_calls(SAMPLES))  # a red run: one recording is broken
    platform.until_landed(platform.end_calls(archived_calls(date(2026, 9, 20), 2)))  # a green one
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 760}, base_url=platform.stack.webserver_url)
        page.set_default_timeout(30_000)
        yield page
        browser.close()


def _picture(page: Page, name: str) -> None:
    if _PICTURES:
        page.wait_for_timeout(2_000)  # let the graph settle: for the eye, not for the test
        page.screenshot(path=Path(_PICTURES) / f"{name}.png")


def test_a_run_is_green_with_one_step_per_processor(page: Page, platform: Platform) -> None:
    green = next(run for run in platform.pipeline_runs() if run.status == "SUCCESS")
    page.goto(f"/runs/{green.id}")
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()
    expect(page.get_by_text("recall__steps.settle").first).to_be_visible()
    _picture(page, "run")


def test_a_red_run_names_what_failed(page: Page, platform: Platform) -> None:
    kettle = next(sample for sample in SAMPLES if sample.name == "kettle")
    failed = [event.run_id for event in platform.story(kettle.vcon_uuid()) if event.event == "failed"]
    page.goto(f"/runs/{failed[0]}")
    expect(page.get_by_text("Failure", exact=True).first).to_be_visible()
    expect(page.get_by_text(kettle.vcon_uuid()).first).to_be_attached()
    _picture(page, "red-run")


def test_the_job_shows_one_op_per_processor(page: Page) -> None:
    page.goto("/locations/vcon_platform/jobs/recall")
    page.get_by_text("View as Asset Graph").click()
    page.get_by_text("Explode graphs").wait_for()  # the op graph is drawn
    page.get_by_text("Expand", exact=True).first.click()
    for op in ("lease", "transcribe", "recall_finder", "projection", "settle"):
        expect(page.get_by_text(op, exact=True).first).to_be_attached()
    _picture(page, "ops")


def test_the_asset_graph_goes_from_the_switch_to_the_tables(page: Page) -> None:
    page.goto("/asset-groups")
    expect(page.get_by_text("projections").first).to_be_visible()
    page.keyboard.press("Alt+e")  # unfold every group
    for asset in ("freeswitch", "freeswitch_history", "recall", "postgres"):
        expect(page.get_by_text(asset, exact=True).first).to_be_visible()
    _picture(page, "assets")


def test_a_tables_page_shows_its_columns_and_when_it_was_materialized(page: Page) -> None:
    page.goto("/assets/projections/recalls/postgres")
    expect(page.get_by_text("Latest materialization").first).to_be_visible()
    expect(page.get_by_text("transcript", exact=True).first).to_be_visible()
    _picture(page, "table")


def test_days_of_the_archive_can_be_chosen(page: Page) -> None:
    page.goto("/assets/sources/freeswitch_history?view=partitions")
    expect(page.get_by_text("Materialized (").first).to_be_visible()
    expect(page.get_by_text("Partitions Selected").first).to_be_visible()
    _picture(page, "history")
