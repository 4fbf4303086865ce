"""`bert-serving serve`: the embedded model server with the flags of `tensorflow_model_server`."""

import typer


def serve(context: typer.Context) -> None:
    """Serve a model. Takes the flags of tensorflow_model_server, such as --model_name, --model_base_path, --port."""
    try:
        from bert_serving.model_server.__main__ import main
    except ModuleNotFoundError as error:
        from bert_serving.errors import InputError

        raise InputError(
            f"the server needs {error.name}; install it with: pip install 'bert-serving[server]'"
        ) from None
    raise typer.Exit(main(context.args))
