"""psql against a real server process: what a person types first."""

from __future__ import annotations

import subprocess

import pytest

from tests.support.sixfold import Served


def psql(server: Served, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["psql", "-X", "-d", server.uri, *arguments]
    return subprocess.run(command, input=script, capture_output=True, text=True, check=False, timeout=60)


def test_a_table_is_made_filled_and_read(server: Served) -> None:
    done = psql(
        server,
        "CREATE TABLE first (id serial PRIMARY KEY, name text);\nINSERT INTO first (name) VALUES ('a'), ('b');\nSELECT * FROM first;\n",
    )
    assert done.stderr == ""
    assert done.stdout == "CREATE TABLE\nINSERT 0 2\n id | name \n----+------\n  1 | a\n  2 | b\n(2 rows)\n\n"


def test_a_syntax_error_shows_its_place(server: Served) -> None:
    done = psql(server, "SELECT 1 FRO x y z;\n")
    assert 'ERROR:  syntax error at or near "x"' in done.stderr
    assert "LINE 1: SELECT 1 FRO x y z;" in done.stderr
    assert "^" in done.stderr


def test_the_server_says_it_is_postgresql_15(server: Served) -> None:
    assert psql(server, "SHOW server_version;", "-At").stdout.startswith("15.")
    assert psql(server, "SELECT version();", "-At").stdout.startswith("PostgreSQL 15.")


def test_an_error_in_a_block_fails_the_block(server: Served) -> None:
    done = psql(server, "BEGIN;\nSELECT 1/0;\nSELECT 1;\nCOMMIT;\nSELECT 2;\n", "-At")
    assert done.stdout == "BEGIN\nROLLBACK\n2\n"
    assert "ERROR:  division by zero" in done.stderr
    assert "current transaction is aborted, commands ignored until end of transaction block" in done.stderr


def test_copy_in_and_out_by_backslash_copy(server: Served, tmp_path: pytest.TempPathFactory) -> None:
    script = (
        "CREATE TABLE copied (a int, b text);\nCOPY copied FROM STDIN;\n1\tone\n2\t\\N\n\\.\nCOPY copied TO STDOUT;\n"
    )
    done = psql(server, script)
    assert done.stderr == ""
    assert done.stdout == "CREATE TABLE\nCOPY 2\n1\tone\n2\t\\N\n"


def test_several_statements_in_one_string_are_one_transaction(server: Served) -> None:
    psql(server, "CREATE TABLE together (a int);")
    done = subprocess.run(
        ["psql", "-X", "-d", server.uri, "-c", "INSERT INTO together VALUES (1); SELECT 1/0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert psql(server, "SELECT count(*) FROM together;", "-At").stdout == "0\n"


def test_a_refusal_after_authentication_is_not_asked_again_without_tls(server: Served) -> None:
    for what in ("/none", "/postgres?user=nobody"):
        done = subprocess.run(
            ["psql", "-Xd", f"postgresql://postgres@127.0.0.1:{server.port}{what}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.stderr.count("FATAL") == 1, done.stderr


def test_a_query_whose_commit_fails_has_not_been_done(server: Served) -> None:
    script = """
CREATE TABLE named (id int PRIMARY KEY);
CREATE TABLE naming (id int REFERENCES named DEFERRABLE INITIALLY DEFERRED);
INSERT INTO naming VALUES (7);
INSERT INTO naming VALUES (8) RETURNING id;
INSERT INTO named VALUES (1)\\; INSERT INTO naming VALUES (9);
SELECT count(*) FROM naming;
"""
    done = psql(server, script, "-At")
    assert done.stdout == "CREATE TABLE\nCREATE TABLE\nINSERT 0 1\n0\n"
    assert done.stderr.count("violates foreign key constraint") == 3
