"""`bert-serving serve`: the embedded model server with the flags of `tensorflow_model_server`."""

import typer


def serve(context: typer.Context) -> None:
    """Serve a model over gRPC and REST with the flags of tensorflow_model_server."""
    from bert_serving.model_server.__main__ import main

    raise typer.Exit(main(context.args))
