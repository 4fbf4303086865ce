"""`bert-serving serve`: the embedded model server with the flags of `tensorflow_model_server`."""

import typer


def serve(context: typer.Context) -> None:
    """Serve a model over gRPC and REST with the flags of tensorflow_model_server."""
    try:
        from bert_serving.model_server.__main__ import main
    except ModuleNotFoundError as error:
        from bert_serving.extras import missing_extra

        # It does without what trains and exports: the extra that has TensorFlow would be more than it needs.
        raise missing_extra(error, "the server", "server") or error from None
    raise typer.Exit(main(context.args))
