"""`bert-serving share`: uploads a run's encoder or classifier to the Hugging Face Hub."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.options import RunArgument
from bert_serving.console import ConsoleObserver, show_lines


class Shared(StrEnum):
    """The parts of a run that can be shared."""

    ENCODER = "encoder"
    CLASSIFIER = "classifier"


def share(
    run_dir: RunArgument,
    to: Annotated[str, typer.Option(help="Repository hf://owner/name, or a new folder to inspect before an upload.")],
    what: Annotated[
        Shared | None,
        typer.Option(
            help="encoder, for others to fine-tune, or classifier, for others to serve.",
            show_default="classifier with --export, else encoder",
        ),
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Version folder that export wrote for this run; needed for the classifier.")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Create the repository as private; otherwise a new one is public.")
    ] = False,
    branch: Annotated[str, typer.Option(help="Branch of the repository; a new one is created from main.")] = "main",
    message: Annotated[
        str | None, typer.Option(help="Commit message.", show_default="Share the encoder (or classifier) of NAME")
    ] = None,
) -> None:
    """Upload a run's encoder or classifier with a model card, or write both to a folder."""
    from bert_serving.errors import InputError
    from bert_serving.saved_model.sharing.hugging_face_hub import Commit, HubRepository, check_access, upload
    from bert_serving.saved_model.sharing.share import classifier_files, encoder_files, size_of, write_files
    from bert_serving.training.run_folder import RunFolder

    what = what or (Shared.CLASSIFIER if export is not None else Shared.ENCODER)
    if what is Shared.CLASSIFIER and export is None:
        raise InputError(
            f"--what classifier needs --export; write one with `bert-serving export {run_dir} --to models` and give its folder"
        )
    if what is Shared.ENCODER and export is not None:
        raise InputError(f"--export {export} is for --what classifier; leave one of them out")
    repository = None
    if "://" in to or to.startswith("hf:"):
        repository = HubRepository.parse(to)
        check_access()
    elif private or branch != "main" or message is not None:
        raise InputError(f"--private, --branch and --message need --to hf://owner/name, but --to is the folder {to}")
    elif Path(to).exists():
        raise InputError(f"{to}: exists; give a new folder with --to")
    run = RunFolder(run_dir)
    name = run.config().export.name
    observer = ConsoleObserver()
    if export is not None:
        files = classifier_files(run, export)
    else:
        with observer.stage("Extracting the encoder from the run"):
            files = encoder_files(run)
    amount = f"{len(files)} files, {size_of(files) / 1e6:,.1f} MB"
    if repository is None:
        with observer.stage(f"Writing {amount}"):
            write_files(files, Path(to))
        show_lines(f"  {what}: {to}\n  card: {Path(to) / 'README.md'}")
        return
    with observer.stage(f"Uploading {amount} to {repository}"):
        commit = Commit(message or f"Share the {what} of {name}", branch, private)
        address = upload(files, repository, commit)
    show_lines(f"  {what}: {address}")
