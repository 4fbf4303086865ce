"""`bert-serving encoders`: what can be fine-tuned."""

import contextlib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bert_serving.cli.display import ConsoleObserver, console, print_json, show_table
from bert_serving.cli.offline import Offline

if TYPE_CHECKING:
    from bert_serving.encoders.catalog.catalog import CatalogEntry
    from bert_serving.encoders.catalog.handles import Handle

app = typer.Typer(help="Pretrained encoders: list, show, fetch, convert.", no_args_is_help=True)


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
            _yes_no(_is_cached(entry)),
        ]
        for entry in entries
    ]
    columns = ("name", "layers", "width", "parameters", "languages", "license", "cached")
    show_table("Encoders", columns, rows)
    console.print(
        "\n  A run file's encoder.name also takes an address of TF Hub or Kaggle, a handle of kagglehub, and hf://owner/name.",
        soft_wrap=True,
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A name of `encoders list`, or any handle.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show one encoder and where it comes from."""
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
    rows += [["also known as", each] for each in facts.get("aliases", [])]
    rows += [[f"source {place}", source] for place, source in enumerate(facts["sources"], 1)]
    show_table(handle.name, ("fact", "value"), rows)


def _facts(entry: "CatalogEntry") -> dict[str, Any]:
    """What is known of an entry; values that a person would read as one line are no lists."""
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
    from bert_serving.cache import find_cached
    from bert_serving.encoders.catalog.handles import cache_key

    found = find_cached(cache_key(handle))
    return None if found is None else str(found)


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
    name: Annotated[str, typer.Argument(help="A name of `encoders list`, or any handle.")],
    preprocessing: Annotated[
        str | None, typer.Option(help="Address of its preprocessing, for an encoder that the catalog does not have.")
    ] = None,
    trusted: Annotated[
        bool, typer.Option("--trusted", help="Take a SavedModel whose graph may read or write files or run code.")
    ] = False,
    offline: Offline = False,
) -> None:
    """Fetch and convert an encoder into the cache."""
    from bert_serving.config import is_address
    from bert_serving.encoders.catalog.handles import find_handle
    from bert_serving.errors import EncoderError

    if preprocessing is not None and not (is_address(name) and is_address(preprocessing)):
        raise EncoderError(f"--preprocessing {preprocessing!r} must be an address, and belongs to an encoder's address")
    find_handle(name, preprocessing)  # a wrong name is told before TensorFlow is imported
    from bert_serving.config import EncoderConfig
    from bert_serving.encoders.lookup import find_encoder_folder

    observer = ConsoleObserver()
    config = EncoderConfig(name=name, preprocessing=preprocessing, trusted=trusted)
    with observer.stage(f"Preparing {name}"):
        folder = find_encoder_folder(config, passed_over=observer.note, progress=observer.download)
    console.print(f"  encoder: {folder.encoder.parent}", soft_wrap=True, markup=False)


@app.command()
def convert(
    source: Annotated[
        Path, typer.Argument(help="Folder to convert: of Hugging Face or of a run; or an archive of one.")
    ],
    to: Annotated[Path, typer.Option(help="Encoder folder to write; must not exist.")],
) -> None:
    """Convert an encoder of another kind to a hub-format encoder folder."""
    from bert_serving.encoders.conversion.formats import convert_folder
    from bert_serving.encoders.lookup import unpacked
    from bert_serving.errors import EncoderError

    if to.exists():
        raise EncoderError(f"{to}: exists; give a new folder with --to")
    with ConsoleObserver().stage(f"Converting {source}"), _new_folder(to) as temporary:
        convert_folder(unpacked(source), temporary)
    console.print(f"  encoder: {to}", soft_wrap=True, markup=False)


@app.command()
def new(
    vocabulary: Annotated[Path, typer.Option(help="WordPiece file; `bert-serving vocabulary` learns one.")],
    num_hidden_layers: Annotated[int, typer.Option(help="Transformer layers.", min=1)],
    hidden_size: Annotated[int, typer.Option(help="Size of a token's vector.", min=1)],
    num_attention_heads: Annotated[
        int, typer.Option(help="Attention heads of each layer; divides hidden_size.", min=1)
    ],
    to: Annotated[Path, typer.Option(help="Encoder folder to write; must not exist.")],
    intermediate_size: Annotated[
        int | None, typer.Option(help="Between a layer's dense layers.", min=1, show_default="4 times hidden_size")
    ] = None,
    max_position_embeddings: Annotated[int, typer.Option(help="Longest sequence, in tokens.", min=4)] = 512,
    position_initializer: Annotated[
        Literal["random", "sinusoids"],
        typer.Option(help="First position embeddings; see encoder.position_initializer of a pretraining run file."),
    ] = "random",
    cased: Annotated[bool, typer.Option("--cased", help="Keep capitals and accents.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the random weights.")] = 0,
) -> None:
    """Make an encoder of a size with random weights."""
    from bert_serving.errors import EncoderError
    from bert_serving.pretraining.config import StartConfig, check_vocabulary, sinusoids_fit

    if to.exists():
        raise EncoderError(f"{to}: exists; give a new folder with --to")
    if hidden_size % num_attention_heads:
        raise EncoderError(
            f"--num-attention-heads {num_attention_heads} does not divide --hidden-size {hidden_size}; choose another"
        )
    if position_initializer == "sinusoids" and not sinusoids_fit(hidden_size):
        raise EncoderError(
            f"--position-initializer sinusoids needs an even --hidden-size of at least 4, not {hidden_size}"
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
    with ConsoleObserver().stage(f"Making {to}"), _new_folder(to) as temporary:
        from bert_serving.pretraining.network import write_new_encoder

        write_new_encoder(config, temporary, seed=seed)
    console.print(f"  encoder: {to}", soft_wrap=True, markup=False)


@contextlib.contextmanager
def _new_folder(to: Path) -> Iterator[Path]:
    """A place for a folder that becomes `to` when the block ends well, and vanishes otherwise."""
    from tempfile import TemporaryDirectory

    from bert_serving.errors import EncoderError

    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place, so that the last step is a rename; under a name of its own, so that no other process is disturbed.
        with TemporaryDirectory(dir=to.parent, prefix=".new-encoder-") as scratch:
            temporary = Path(scratch, "encoder")
            yield temporary
            temporary.rename(to)
    except OSError as error:
        raise EncoderError(f"{to}: cannot write it: {error.strerror or error}; choose another --to") from None
