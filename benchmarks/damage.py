"""Damaged content: whole files with a few changes, drawn from a seed."""

import base64
import copy
import io
import json
import random
import re
import zipfile
from typing import Any

ODD = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        10**30,
        1.5,
        -0.0,
        1e308,
        "",
        "x",
        "\x1b[31m",
        "[/b]",
        "²",
        "=1",
    ),
    *(
        ":X",
        "normal(x={[]:1})",
        "-" * 3000,
        [],
        [[]],
        {},
        {"": 0},
        {"step": "1"},
        "🙂" * 50,
        "1" * 5000,
    ),
]


def mutated(whole: bytes, dice: random.Random) -> bytes:
    """Return a file with a few changes."""
    if dice.random() < 0.6:
        if whole[:1] == b"{":
            *before, last = (
                whole.splitlines() if b'\n{"' in whole or whole[1:2] != b"\n" else [whole]
            )
            text = json.dumps(_changed(json.loads(last), dice)).encode(errors="replace")
            return b"\n".join([*before, text, *[b'{"step": 99}', b""] * dice.randrange(2)])
        if whole[8:9] == b"{":  # safetensors: the size of a header, the header, bytes
            size = int.from_bytes(whole[:8], "little")
            header = json.loads(whole[8 : 8 + size])
            if dice.random() < 0.7:
                inner = _changed(json.loads(header["__metadata__"]["vaescape"]), dice)
                header["__metadata__"]["vaescape"] = json.dumps(inner)
            else:
                header = _changed(header, dice)
            text = json.dumps(header).encode(errors="replace")
            return len(text).to_bytes(8, "little") + text + whole[8 + size :]
    return bits(whole, dice)


def bits(whole: bytes, dice: random.Random) -> bytes:
    """Return bytes with a few changed, missing or doubled."""
    data = bytearray(whole)
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        at, size = dice.randrange(len(data) + 1), dice.choice((1, 4, 8, 100))
        how = dice.randrange(5)
        if how == 0 and at < len(data):
            data[at] ^= 1 << dice.randrange(8)
        elif how == 1:
            data[at : at + size] = dice.randbytes(size)
        elif how == 2:
            del data[at : at + size]
        elif how == 3:
            data[at:at] = data[at : at + size]
        else:
            del data[at:]
    return bytes(data)


def _changed(value: Any, dice: random.Random) -> Any:
    """Return JSON with another value somewhere, one missing, one more or one of another name."""
    value = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        for key in inner if isinstance(inner, dict) else range(len(inner)):
            places.append((inner, key))
            if isinstance(inner[key], dict | list):
                waiting.append(inner[key])
    if not places:
        return dice.choice(ODD)
    inner, key = dice.choice(places)
    if dice.random() < 0.2:
        del inner[key]
    elif dice.random() < 0.1:
        inner[key] = [inner[key]] * 3
    elif dice.random() < 0.1 and isinstance(inner, dict):
        inner[dice.choice(("x", "", "train.mean", "nats"))] = inner.pop(key)
    elif dice.random() < 0.5 and isinstance(inner[key], list):
        dice.shuffle(inner[key])
    else:
        inner[key] = copy.deepcopy(dice.choice(ODD))
    return value


def archive(whole: bytes, dice: random.Random) -> bytes:
    """Return a zip archive with a few changes: of the whole, or of one file in it, packed anew."""
    if dice.random() < 0.3:
        return mutated(whole, dice)
    with zipfile.ZipFile(io.BytesIO(whole)) as old:
        members = {name: old.read(name) for name in old.namelist()}
    name = dice.choice(list(members))
    how = dice.random()
    if how < 0.6:
        members[name] = _header(members[name], dice)
    elif how < 0.8:
        members[name] = mutated(members[name], dice)
    elif how < 0.9:
        members[dice.choice(("x_test.npy", "y_train.npy", "../x", "x/", "é"))] = members.pop(name)
    else:
        del members[name]
    stream = io.BytesIO()
    with zipfile.ZipFile(
        stream, "w", dice.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    ) as new:
        for name, content in members.items():
            new.writestr(name, content)
    return stream.getvalue()


def _header(member: bytes, dice: random.Random) -> bytes:
    """Return a NumPy array with another type, shape, order or header."""
    size = int.from_bytes(member[8:10], "little")
    text = member[10 : 10 + size].decode("latin1")
    kinds = ("<f8", "<f2", "|S3", "<U2", "|O", ">i4", "|b1", "<c8", "<M8[s]", "|V4", "x", "<i8", "")
    shapes = ("()", "(0,)", "(3,)", "(9, 4, 4)", "(10**9, 10**9)", "(-1, 2)", "(1.5,)", "(True, 2)")
    for pattern, values in (
        (r"'descr': '[^']*'", [f"'descr': '{kind}'" for kind in kinds]),
        (r"'shape': \([^)]*\)", [f"'shape': {shape}" for shape in shapes]),
        (r"False", ["True", "[]", "(" * 500, "None"]),
    ):
        if dice.random() < 0.5:
            text = re.sub(pattern, dice.choice(values).replace("\\", ""), text)
    head = bits(text.encode(), dice) if dice.random() < 0.3 else text.encode()
    return member[:8] + len(head).to_bytes(2, "little") + head + member[10 + size :]


def page(whole: bytes, dice: random.Random) -> bytes:
    """Return an explorer's page with a few changes: in the file, the manifest or a blob."""
    how = dice.random()
    if how < 0.3:
        return mutated(whole, dice)
    pattern = rb'(id="manifest">)(.*?)(</script>)' if how < 0.7 else rb'(id="blob-\w+">)(.*?)(<)'
    (first, *_) = found = list(re.finditer(pattern, whole, re.DOTALL))
    one = dice.choice(found)
    if one is first and how < 0.7:
        inner = json.dumps(_changed(json.loads(one[2]), dice)).encode(errors="replace")
    else:
        inner = base64.b64encode(mutated(base64.b64decode(one[2]), dice))
    return whole[: one.start(2)] + inner + whole[one.end(2) :]


def request(whole: bytes, dice: random.Random) -> bytes:
    """Return one of several requests with a few changes: in its body, or in all else."""
    given = dice.choice(json.loads(whole))
    if given["body"] and dice.random() < 0.6:
        given["body"] = mutated(given["body"].encode("latin-1"), dice).decode("latin-1")
    else:
        given = _changed(given, dice)
    return json.dumps(given).encode()


TOKENS = (
    *("(", ")", "[", "]", "{", "}", ",", "=", ":", ".", "-", "*", "**", "'", '"', " ", "\n", "\0"),
    *("0", "1", "-1", "1e999", "nan", "10**9", "9" * 400, "True", "None", "lambda: 0", "x", "é"),
    *("samples", "beta", "layers", "iwae", "elbo", "f'{x}'", "*[1]", "**{'a': 1}", "\\", "()" * 99),
)


def text(whole: bytes, dice: random.Random) -> bytes:
    """Return a component text with a few words changed."""
    words = re.findall(r"\w+|\W", whole.decode())
    for _ in range(dice.choice((1, 1, 2, 3, 8))):
        at = dice.randrange(len(words) + 1)
        words[at : at + dice.randrange(2)] = [dice.choice(TOKENS)] * dice.randrange(3)
    return "".join(words).encode(errors="replace")
