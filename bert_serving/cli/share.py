"""`bert-serving share`: a run's encoder or classifier, with its card, to a model hub or a folder."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bert_serving.cli.display import ConsoleObserver, console


class Shared(StrEnum):
    """What can be shared of a run."""

    ENCODER = "encoder"
    CLASSIFIER = "classifier"


def share(
    run_dir: Annotated[Path, typer.Argument(help="Run folder that train wrote.", metavar="RUN_DIR")],
    to: Annotated[str, typer.Option(help="hf://owner/name, or a new folder to look at first.")],
    what: Annotated[
        Shared | None,
        typer.Option(
            help="encoder, for others to fine-tune (taken without --export), or classifier, for others to serve (with it)."
        ),
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="The version that is the classifier: what export wrote for this run.")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository private; without it a new one is public.")
    ] = False,
    branch: Annotated[str, typer.Option(help="Branch of the repository; a new one starts from main.")] = "main",
    message: Annotated[
        str | None, typer.Option(help="Message of the commit, instead of one that says what is shared.")
    ] = None,
) -> None:
    """Upload a run's encoder or classifier with its card, or write both into a folder."""
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
        raise InputError(f"--export {export} belongs to --what classifier; leave one of them out")
    repository = None
    if "://" in to or to.startswith("hf:"):
        repository = HubRepository.parse(to)
        check_access()
    elif private or branch != "main" or message is not None:
        raise InputError(f"--private, --branch and --message belong to hf://owner/name; --to is the folder {to}")
    elif Path(to).exists():
        raise InputError(f"{to}: exists; give a new folder with --to")
    run = RunFolder(run_dir)
    name = run.config().export.name
    observer = ConsoleObserver()
    if export is not None:
        files = classifier_files(run, export)
    else:
        with observer.stage("Taking the encoder out of the run"):
            files = encoder_files(run)
    amount = f"{len(files)} files, {size_of(files) / 1e6:,.1f} MB"
    if repository is None:
        with observer.stage(f"Writing {amount}"):
            write_files(files, Path(to))
        console.print(f"  {what}: {to}\n  card: {Path(to) / 'README.md'}", soft_wrap=True, markup=False)
        return
    with observer.stage(f"Uploading {amount} to {repository}"):
        commit = Commit(message or f"Share the {what} of {name}", branch, private)
        address = upload(files, repository, commit)
    console.print(f"  {what}: {address}", soft_wrap=True, markup=False)
