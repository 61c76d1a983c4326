"""Writes src/data/fixtures/*.parquet with pyarrow, for Sumbi's reader; the file's own metadata names the version.

    python scripts/make-parquet-fixture.py
"""
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

OUT = pathlib.Path(__file__).resolve().parent.parent / "src/data/fixtures"
OUT.mkdir(parents=True, exist_ok=True)
texts = [f"Row {i}: {'숨비소리 ' * (i % 4)}{'word ' * (i % 7)}end." for i in range(50)]
for codec in ("snappy", "zstd", "gzip", "none"):
    pq.write_table(pa.table({"id": list(range(50)), "text": texts}), OUT / f"text-{codec}.parquet", compression=codec, row_group_size=20)
message = pa.struct([("role", pa.string()), ("content", pa.string())])
chats = [[{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": f"<think>t</think>a{i}"}] for i in range(6)]
chats[4] = [{"role": "robot", "content": "?"}]
pq.write_table(pa.table({"messages": pa.array(chats, pa.list_(message))}), OUT / "chat.parquet", row_group_size=3)
pq.write_table(pa.table({"text": pa.array(["a", None, "", "b"])}), OUT / "holes.parquet")
pq.write_table(pa.table({"body": ["x"]}), OUT / "other-column.parquet")
