"""`bert-serving encoders`: pretrained encoders that can be fine-tuned."""

import contextlib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bert_serving.cli.options import Offline
from bert_serving.console import ConsoleObserver, print_json, show_lines, show_table

if TYPE_CHECKING:
    from bert_serving.encoders.catalog.catalog import CatalogEntry
    from bert_serving.encoders.catalog.handles import Handle

app = typer.Typer(help="List, show, fetch, convert and create pretrained encoders.", no_args_is_help=True)


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the encoders that a run file can name."""
    from bert_serving.encoders.catalog.catalog import CATALOG

    entries = CATALOG.values()
    if as_json:
        print_json([_facts(entry) for entry in entries])
        return
    rows = [
        [
            entry.name,
            str(entry.num_hidden_layers),
            str(entry.hidden_size),
            _millions(entry.parameters),
            ", ".join(entry.languages),
            entry.license,
            str(entry.pooling),
            entry.prefix.strip(),
            _yes_no(_is_cached(entry)),
        ]
        for entry in entries
    ]
    columns = ("name", "layers", "width", "parameters", "languages", "license", "pooling", "prefix", "cached")
    show_table("Encoders", columns, rows)
    show_lines(
        "\n  A run file's encoder.name may also be an address on TF Hub or Kaggle, a kagglehub handle, or hf://owner/name."
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A name in `encoders list`, or an address or handle.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show one encoder and its sources."""
    from bert_serving.encoders.catalog.catalog import CATALOG
    from bert_serving.encoders.catalog.handles import find_handle
    from bert_serving.encoders.folder import read_commit

    handle = find_handle(name)
    facts: dict[str, Any] = _facts(CATALOG[handle.name]) if handle.name in CATALOG else {"name": handle.name}
    facts["sources"] = [str(source) for source in handle.sources]
    facts["cached"] = folder = _cached_folder(handle)
    if folder is not None and (commit := read_commit(Path(folder))) is not None:
        facts["commit"] = commit
    if as_json:
        print_json(facts)
        return
    rows = [[key.replace("_", " "), _plain(value)] for key, value in facts.items() if not isinstance(value, list)]
    rows += [["alias", alias] for alias in facts.get("aliases", [])]
    rows += [[f"source {number}", source] for number, source in enumerate(facts["sources"], 1)]
    show_table(handle.name, ("fact", "value"), rows)


def _facts(entry: "CatalogEntry") -> dict[str, Any]:
    """Facts about a catalog entry; of its values, only aliases and sources are lists."""
    facts = {
        field.name: getattr(entry, field.name) for field in fields(entry) if field.name not in ("sources", "aliases")
    }
    return facts | {
        "languages": ", ".join(entry.languages),
        "aliases": list(entry.aliases),
        "sources": [str(source) for source in entry.sources],
        "cached": _is_cached(entry),
    }


def _is_cached(entry: "CatalogEntry") -> bool:
    from bert_serving.encoders.catalog.handles import find_handle

    return _cached_folder(find_handle(entry.name)) is not None


def _cached_folder(handle: "Handle") -> str | None:
    from bert_serving.encoders.catalog.handles import cache_key
    from bert_serving.io.cache import find_cached

    folder = find_cached(cache_key(handle))
    return None if folder is None else str(folder)


def _millions(number: int | None) -> str:
    return "" if number is None else f"{number / 1e6:.1f} M"


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def _plain(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return _yes_no(bool(value))
    return f"{value:,}" if isinstance(value, int) else str(value)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A name in `encoders list`, or an address or handle.")],
    preprocessing: Annotated[
        str | None, typer.Option(help="Address of the preprocessing, for an encoder that is not in the catalog.")
    ] = None,
    trusted: Annotated[
        bool,
        typer.Option("--trusted", help="Accept a SavedModel whose operations can read or write files or run code."),
    ] = False,
    offline: Offline = False,  # noqa: ARG001  its callback sets the environment
) -> None:
    """Download an encoder and convert it into the cache."""
    from bert_serving.config import is_address
    from bert_serving.encoders.catalog.handles import find_handle
    from bert_serving.errors import EncoderError

    if preprocessing is not None and not (is_address(name) and is_address(preprocessing)):
        raise EncoderError(
            f"--preprocessing {preprocessing!r} must be an address, and needs an encoder given by address; give both"
        )
    find_handle(name, preprocessing)  # reports a wrong name before TensorFlow is imported
    from bert_serving.config import EncoderConfig
    from bert_serving.encoders.lookup import find_encoder_folder

    observer = ConsoleObserver()
    config = EncoderConfig(name=name, preprocessing=preprocessing, trusted=trusted)
    with observer.stage(f"Preparing {name}"):
        folder = find_encoder_folder(config, passed_over=observer.note, progress=observer.download)
    show_lines(f"  encoder: {folder.encoder.parent}")


@app.command()
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder or archive to convert: a Hugging Face model, a run folder, KerasHub, a BERT checkpoint."
        ),
    ],
    to: Annotated[Path, typer.Option(help="Encoder folder to write; it must not exist yet.")],
) -> None:
    """Convert an encoder of another format to an encoder folder."""
    from bert_serving.encoders.conversion.formats import convert_folder
    from bert_serving.encoders.lookup import unpacked
    from bert_serving.errors import EncoderError

    if to.exists():
        raise EncoderError(f"{to}: exists; give a new folder with --to")
    with ConsoleObserver().stage(f"Converting {source}"), _new_folder(to) as temporary:
        convert_folder(unpacked(source), temporary)
    show_lines(f"  encoder: {to}")


@app.command()
def new(
    vocabulary: Annotated[
        Path, typer.Option(help="WordPiece vocabulary file, such as `bert-serving vocabulary` writes.")
    ],
    num_hidden_layers: Annotated[int, typer.Option(help="Number of transformer layers.", min=1)],
    hidden_size: Annotated[int, typer.Option(help="Number of dimensions of a token's vector.", min=1)],
    num_attention_heads: Annotated[
        int, typer.Option(help="Number of attention heads of each layer; must divide --hidden-size.", min=1)
    ],
    to: Annotated[Path, typer.Option(help="Encoder folder to write; it must not exist yet.")],
    intermediate_size: Annotated[
        int | None,
        typer.Option(
            help="Number of dimensions of the feed-forward layers.", min=1, show_default="4 times --hidden-size"
        ),
    ] = None,
    max_position_embeddings: Annotated[int, typer.Option(help="Largest sequence length in tokens.", min=4)] = 512,
    position_initializer: Annotated[
        Literal["random", "sinusoids"],
        typer.Option(help="Initial position embeddings, as encoder.position_initializer of a pretraining run file."),
    ] = "random",
    cased: Annotated[bool, typer.Option("--cased", help="Keep upper case and accents.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of the random weights.")] = 0,
) -> None:
    """Create an encoder with random weights."""
    from bert_serving.errors import EncoderError
    from bert_serving.pretraining.config import StartConfig, check_vocabulary, sinusoids_fit

    if to.exists():
        raise EncoderError(f"{to}: exists; give a new folder with --to")
    if hidden_size % num_attention_heads:
        raise EncoderError(
            f"--num-attention-heads {num_attention_heads} does not divide --hidden-size {hidden_size}; choose another number"
        )
    if position_initializer == "sinusoids" and not sinusoids_fit(hidden_size):
        raise EncoderError(
            f"--position-initializer sinusoids needs an even --hidden-size of at least 4, got {hidden_size}; choose another"
        )
    config = StartConfig(
        num_hidden_layers=num_hidden_layers,
        hidden_size=hidden_size,
        num_attention_heads=num_attention_heads,
        intermediate_size=intermediate_size,
        max_position_embeddings=max_position_embeddings,
        position_initializer=position_initializer,
        vocabulary=vocabulary,
        lower_case=not cased,
    )
    check_vocabulary(config)
    with ConsoleObserver().stage(f"Creating {to}"), _new_folder(to) as temporary:
        from bert_serving.pretraining.network import write_new_encoder

        write_new_encoder(config, temporary, seed=seed)
    show_lines(f"  encoder: {to}")


@contextlib.contextmanager
def _new_folder(to: Path) -> Iterator[Path]:
    """A temporary folder that is renamed to `to` when the block succeeds, and removed otherwise."""
    from tempfile import TemporaryDirectory

    from bert_serving.errors import EncoderError

    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder, so that it can be renamed; with a unique name, so that concurrent
        # processes do not collide.
        with TemporaryDirectory(dir=to.parent, prefix=".new-encoder-") as scratch:
            temporary = Path(scratch, "encoder")
            yield temporary
            temporary.rename(to)
    except OSError as error:
        raise EncoderError(f"{to}: cannot write it: {error.strerror or error}; choose another --to") from None
