"""Secrets and personal data are not stored, and nothing else is changed."""

import harmless
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopkit import MUG, trajectory
from memp.errors import RecordError
from memp.records import Step, Trajectory
from memp.trust import Redactor, presidio

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
KEY = "sk-" + "proj-" + LETTERS[20:60]  # in parts, so that no scanner takes this file for a leak
SECRETS = {
    "api key": [
        KEY,
        "sk-" + "ant-api03-" + LETTERS[10:50],
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + LETTERS[:36],
        "github_" + "pat_" + LETTERS[:50],
        "glpat-" + LETTERS[:20],
        "xoxb-" + "123456789012-abcdefghij",
        "AIza" + LETTERS[:35],
        "sk_" + "live_" + LETTERS[:24],
        "hf_" + LETTERS[:34],
        "npm_" + LETTERS[:36],
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "OPENAI_API_KEY=abc123def456ghi789",
    ],
    "token": [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        "Authorization: Bearer 0123456789abcdef0123",
        "-H 'authorization: Basic dXNlcjpwYXNzMTIz'",
        '"access_token": "ZXhhbXBsZTEyMw"',
    ],
    "password": [
        "password=hunter2",
        "DB_PASSWORD: 'correct horse'".replace(" horse", "-horse7"),
        "postgres://bob:s3cr3tpw@db.example:5432/app",
        "the password is tr0ub4dor&3",
    ],
    "private key": ["-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA75\n-----END RSA PRIVATE KEY-----"],
    "email": ["jane.doe+shop@mail.example.com"],
    "phone number": ["+49 30 901820", "call me at (619) 555-0134", "Tel. 0555 123 456"],
    "card number": ["4111 1111 1111 1111", "5555555555554444", "3782 822463 10005"],
    "bank account": ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32"],
    "social security number": ["078-05-1120"],
}
PLAIN = [
    "password: required",
    "password = getpass()",
    "api_key = os.environ['API_KEY']",
    "def login(password: str, token: str = None)",
    "login(password=password, secret=self.secret)",
    "export TOKEN=$TOKEN PASSWORD=<your password> SECRET=${SECRET}",
    "pwd: /home/user/project1",
    "git clone git@github.com:org/repo.git; icon@2x.png; root@web-1.internal",
    "order 4111-1111, flight 2022-03-13 05:30-07:05, $1,234.56, 1,400 dollars, F1234567, 33.68, -117.24",
    "(619) 523-4285 in a table of sights",
    "192.168.0.1 fe80::1 3.11.7 1.2.3-rc.4",
    "4111 1111 1111 1112 is not a card, DE89370400440532013001 is not an account, 000-12-3456 nothing",
    "uuid 123e4567-e89b-12d3-a456-426614174000, sha 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "sk-learn is a library; task-force; risk-assessment-of-the-whole-system-and-more",
    "The secret is to listen. Press any key: Enter. Token: a piece of text.",
    "1700000000000000 microseconds, 16 digits 1234567812345678",
]


@pytest.mark.parametrize(("kind", "secret"), [(kind, one) for kind, all_ in SECRETS.items() for one in all_])
def test_what_is_taken_out(kind, secret):
    done = Trajectory(task="t", steps=(Step(action="look", observation=f"before {secret} after"),), reward=1)
    kept, counts = Redactor().trajectory(done)
    assert counts == {kind: 1}
    text = kept.steps[0].observation
    assert f"[{kind} 1]" in text
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert Redactor().trajectory(kept) == (kept, {})


@pytest.mark.parametrize("text", PLAIN)
def test_what_stays(text):
    assert Redactor().text(text) == text


def test_the_same_secret_has_the_same_number_everywhere():
    done = Trajectory(
        task="write to a@x.org",
        start="from b@x.org",
        steps=(Step(action="to A@x.org", observation=f"c@x.org {KEY}", thought="b@x.org", feedback="a@x.org"),),
        reward=1,
        source="c@x.org",
        facts={"to": "a@x.org"},
        tags={"who": "d@x.org"},
        feedback=KEY,
    )
    kept, counts = Redactor().trajectory(done)
    assert counts == {"email": 9, "api key": 2}
    assert kept.task == "write to [email 1]"
    assert (kept.start, kept.source, kept.feedback) == ("from [email 2]", "[email 3]", "[api key 1]")
    assert kept.steps[0].model_dump(include={"action", "observation", "thought", "feedback"}) == {
        "action": "to [email 1]",
        "observation": "[email 3] [api key 1]",
        "thought": "[email 2]",
        "feedback": "[email 1]",
    }
    assert (kept.facts, kept.tags) == ({"to": "[email 1]"}, {"who": "[email 4]"})


def test_a_placeholder_that_stands_there_keeps_its_number():
    assert Redactor().text("[email 3] and x@y.org") == "[email 3] and [email 4]"


@given(st.text(), st.sampled_from([one for all_ in SECRETS.values() for one in all_]), st.text())
def test_redacting_twice_is_redacting_once(before, secret, after):
    once = Redactor().text(f"{before} {secret} {after}")
    assert Redactor().text(once) == once


async def test_nothing_secret_reaches_the_file(open_memory, tmp_path):
    memory = open_memory(tmp_path / "m.db")
    task = f"log in as zoe@corp.example with {KEY}"
    recall = await memory.retrieve(task, facts={"who": "zoe@corp.example"})
    done = trajectory(
        task, actions=(f"login {KEY}",), source="mail of zoe@corp.example", tags={"by": "zoe@corp.example"}
    )
    first = await memory.record(done, recall)
    assert first.redacted == {"email": 3, "api key": 3}
    again = await memory.record(done, recall)
    assert again.trajectory_id == first.trajectory_id
    await memory.update()
    later = await memory.retrieve(task)
    assert [item.score for item in later.ranked] == [pytest.approx(1.0)]
    assert "login [api key 1]" in later.render()
    (receipt,) = [r for r in memory.receipts() if r.operation == "record"]
    assert receipt.redacted == first.redacted
    memory.store.close()
    raw = b"".join(file.read_bytes() for file in tmp_path.glob("m.db*"))
    assert KEY.encode() not in raw
    assert b"zoe@" not in raw


async def test_it_may_be_turned_off_or_replaced(open_memory, tmp_path):
    kept = open_memory(tmp_path / "a.db", redact=False)
    await kept.record(trajectory("mail x@y.org", id="1"))
    assert kept.trajectory("1").task == "mail x@y.org"
    own = open_memory(tmp_path / "b.db", redact=Redactor([lambda text: [(0, 3, "name")] if text[:3] == "Zoe" else []]))
    await own.record(trajectory("Zoe wants x@y.org", id="1"))
    assert own.trajectory("1").task == "[name 1] wants x@y.org"


async def test_another_trajectory_of_the_same_id_is_still_refused(open_memory):
    memory = open_memory()
    await memory.record(trajectory(f"{MUG} for a@x.org", id="1"))
    with pytest.raises(RecordError):
        await memory.record(trajectory("something else", id="1"))


def test_presidio_may_do_it():
    class Result:
        start, end, score, entity_type = 3, 6, 0.9, "PERSON"

    class Engine:
        def analyze(self, text, language):
            return [Result()] if "Zoe" in text and language == "en" else []

    assert Redactor([presidio(Engine())]).text("to Zoe") == "to [person 1]"


def test_ordinary_trajectories_stay_as_they_are():
    changed = {t.id for half in "abc" for t in harmless.written(half) if Redactor().trajectory(t)[1]}
    assert changed == {"a14", "a19", "a58", "b19", "b59"}  # each holds a mail address or a telephone number


async def test_games_stay_as_they_are():
    assert [t.id for t in await harmless.houses(0, 60) if Redactor().trajectory(t)[1]] == []


@pytest.mark.skipif(not harmless.TRAVEL.is_file(), reason=f"no {harmless.TRAVEL} (set MEMP_DATA)")
def test_real_travel_plans_stay_as_they_are():
    assert [t.id for t in harmless.travels(every=15) if Redactor().trajectory(t)[1]] == []
