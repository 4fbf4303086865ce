"""`bert-serving serve`: the embedded model server with the flags of `tensorflow_model_server`."""

import typer


def serve(context: typer.Context) -> None:
    """Serve a model over gRPC and REST with the flags of tensorflow_model_server."""
    try:
        from bert_serving.model_server.__main__ import main
    except ModuleNotFoundError as error:
        from bert_serving.errors import InputError

        raise InputError(f"the server needs {error.name}; pip install 'bert-serving[server]'") from None
    raise typer.Exit(main(context.args))
