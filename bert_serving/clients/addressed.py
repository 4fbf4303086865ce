"""Clients of one model by its address, over gRPC or REST alike."""

from collections.abc import Sequence
from typing import Any, Self

from bert_serving.clients.model_address import ModelAddress
from bert_serving.clients.prediction import Prediction
from bert_serving.clients.served_model import ServedModel, VersionStatus


class Client:
    """A client of a served model that waits for its answers; threads may share it. Needs no TensorFlow.

    Attributes:
        address: the parts of the address.

    ```python
    import bert_serving as bs

    with bs.Client("grpc://localhost:8500/tiny") as client:
        print(client.predict(["a good film"])[0].label, client.describe().labels)
    ```
    """

    def __init__(self, address: str, **settings: Any):
        """Makes a client, which connects on its first request.

        Args:
            address: grpc://host:port/name or http://host:port/name (grpcs, https with TLS), with /versions/7 or /labels/canary
                after the name for one version.
            settings: keyword arguments of `GrpcClient` or `RestClient`, such as `timeout`, `retry_timeout`, `batch_rows` or `tls`.

        Raises:
            InputError: the address has another form.
        """
        self.address = ModelAddress.parse(address)
        self._client = self.address.client(**settings)

    def predict(
        self,
        texts: str | Sequence[str],
        text_pairs: str | Sequence[str] | None = None,
        *,
        signature: str | None = None,
        deadline: float | None = None,
    ) -> list[Prediction]:
        """Classifies texts.

        Args:
            texts: the texts; a single string is one text. An empty list is answered without the server.
            text_pairs: the second texts, for a classifier of pairs.
            signature: signature to run, else the default one.
            deadline: seconds for the whole list.

        Returns:
            a prediction for each text, in order.

        Raises:
            RequestError: the server refuses the request or does not answer.
        """
        predictions: list[Prediction] = self._client.predict(
            self.address.name,
            **_inputs(texts, text_pairs),
            signature=signature,
            deadline=deadline,
            **self.address.version,
        )
        return predictions

    def describe(self) -> ServedModel:
        """Version, head and labels of the model; the labels name the probabilities, in order.

        Raises:
            RequestError: the model is not a text classifier, or the server does not answer.
        """
        served: ServedModel = self._client.describe(self.address.name, **self.address.version)
        return served

    def status(self) -> list[VersionStatus]:
        """State of each version of the model, highest first.

        Raises:
            RequestError: no such model, or no answer.
        """
        versions: list[VersionStatus] = self._client.status(self.address.name)
        return versions

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connections."""
        self.close()


class AsyncClient:
    """A client of a served model for programs on an event loop; its methods are those of `Client`.

    Attributes:
        address: the parts of the address.

    ```python
    import asyncio

    import bert_serving as bs


    async def main() -> None:
        async with bs.AsyncClient("http://localhost:8501/tiny") as client:
            print((await client.predict(["a good film"]))[0].label)


    asyncio.run(main())
    ```
    """

    def __init__(self, address: str, **settings: Any):
        """Makes a client, which connects on its first request; arguments and errors are those of `Client`."""
        self.address = ModelAddress.parse(address)
        self._client = self.address.async_client(**settings)

    async def predict(
        self,
        texts: str | Sequence[str],
        text_pairs: str | Sequence[str] | None = None,
        *,
        signature: str | None = None,
        deadline: float | None = None,
    ) -> list[Prediction]:
        """Classifies texts; arguments and errors are those of `Client.predict`."""
        predictions: list[Prediction] = await self._client.predict(
            self.address.name,
            **_inputs(texts, text_pairs),
            signature=signature,
            deadline=deadline,
            **self.address.version,
        )
        return predictions

    async def describe(self) -> ServedModel:
        """Version, head and labels of the model, as `Client.describe`."""
        served: ServedModel = await self._client.describe(self.address.name, **self.address.version)
        return served

    async def status(self) -> list[VersionStatus]:
        """State of each version of the model, as `Client.status`."""
        versions: list[VersionStatus] = await self._client.status(self.address.name)
        return versions

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes the connections."""
        await self.close()


def _inputs(texts: str | Sequence[str], text_pairs: str | Sequence[str] | None) -> dict[str, Any]:
    return {
        "texts": [texts] if isinstance(texts, str) else texts,
        "text_pairs": [text_pairs] if isinstance(text_pairs, str) else text_pairs,
    }
