"""`bert-serving encoders`: what can be fine-tuned."""

from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.display import ConsoleObserver, console, show_table

app = typer.Typer(help="Pretrained encoders: list, show, fetch, convert.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the encoders that a run file can name."""
    from bert_serving.encoders.catalog import CATALOG

    rows = [
        [
            entry.name,
            str(entry.layers),
            str(entry.width),
            f"{entry.vocabulary_size:,}",
            ", ".join(entry.languages),
            entry.licence,
        ]
        for entry in CATALOG.values()
    ]
    show_table("Encoders", ("name", "layers", "width", "vocabulary", "languages", "licence"), rows)


@app.command()
def show(name: Annotated[str, typer.Argument(help="A name of `encoders list`.")]) -> None:
    """Show one encoder and where it comes from."""
    from dataclasses import fields

    from bert_serving.encoders.catalog import find_encoder

    entry = find_encoder(name)
    rows = [
        [field.name.replace("_", " "), _plain(getattr(entry, field.name))]
        for field in fields(entry)
        if field.name != "sources"
    ]
    rows += [[f"source {place}", str(source)] for place, source in enumerate(entry.sources, 1)]
    show_table(entry.name, ("fact", "value"), rows)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="A name of `encoders list`.")]) -> None:
    """Fetch and convert an encoder into the cache."""
    from bert_serving.config import EncoderConfig
    from bert_serving.encoders.loading import find_encoder_folder

    observer = ConsoleObserver()
    with observer.stage(f"Preparing {name}"):
        folder = find_encoder_folder(EncoderConfig(name=name), passed_over=observer.note, progress=observer.download)
    console.print(f"  encoder: {folder.encoder.parent}", soft_wrap=True, markup=False)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="Hugging Face folder of a BERT model.")],
    to: Annotated[Path, typer.Option(help="Encoder folder to write; must not exist.")],
) -> None:
    """Convert a Hugging Face folder to a hub-format encoder folder."""
    import shutil

    from bert_serving.encoders.conversion import convert_hugging_face
    from bert_serving.errors import EncoderError

    if to.exists():
        raise EncoderError(f"{to}: exists; give a new folder with --to")
    temporary = to.with_name(f".tmp-{to.name}")
    try:
        with ConsoleObserver().stage(f"Converting {source}"):
            shutil.rmtree(temporary, ignore_errors=True)
            convert_hugging_face(source, temporary)
            temporary.rename(to)
    except OSError as error:
        raise EncoderError(f"{to}: cannot write it: {error.strerror}; choose another --to") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    console.print(f"  encoder: {to}", soft_wrap=True, markup=False)
