"""The script of `helm test` passes only for a crate that is what the index says."""

import pytest

from registry import CRATE, INDEX, PAGES, fetch, serving


def test_a_crate_that_is_what_the_index_says_passes_also_by_redirect(tmp_path):
    with serving(PAGES) as base:
        code, output = fetch(base, tmp_path)
    assert code == 0 and "OK: cfg-if 1.0.0" in output, output
    assert "Signature" not in output


def test_an_index_with_spaces_in_its_json_is_read_too(tmp_path):
    page = INDEX.replace(b'":', b'": ')
    assert page != INDEX
    with serving({**PAGES, "/crates-io/index/cf/g-/cfg-if": page}) as base:
        code, output = fetch(base, tmp_path)
    assert code == 0 and "OK: cfg-if 1.0.0" in output, output


@pytest.mark.parametrize("path, page, complaint", [
    ("/crates-io/index/config.json", None, "config.json"),
    ("/crates-io/index/config.json", b"{}", "names no dl"),
    ("/crates-io/index/cf/g-/cfg-if", None, "index file cf/g-/cfg-if"),
    ("/crates-io/index/cf/g-/cfg-if", INDEX.replace(b'"1.0.0"', b'"1.0.1"'), "does not know 1.0.0"),
    ("/crates-io/index/cf/g-/cfg-if", INDEX.replace(b"cksum", b"chksm"), "has no cksum"),
    ("/crates-io/crates/cfg-if/1.0.0/download", None, "did not arrive"),
    ("/crates-io/crates/cfg-if/1.0.0/download", CRATE[:-1], "the crate's SHA-256 is"),
    ("/crates-io/crates/cfg-if/1.0.0/download", b"", "did not arrive"),
])
def test_anything_else_fails_and_says_what(path, page, complaint, tmp_path):
    with serving({**PAGES, path: page}) as base:
        code, output = fetch(base, tmp_path)
    assert code == 1 and complaint in output, output
