"""A program of a user, which `mypy --strict` checks with the package."""

import asyncio

import bert_serving as bs


def road(rows: list[tuple[str, str]]) -> str:
    classifier = bs.build_classifier("all-MiniLM-L6-v2", labels=["neg", "pos"])
    history = classifier.fit(rows, epochs=1)
    loss: float = history[-1]["loss"]
    exported = bs.export(classifier, to="models", name=f"model-{loss:.0f}")
    run: bs.Run = bs.train("run.toml")
    model: bs.Run | bs.Export | bs.ServedModel = bs.load("models/model")
    scores: dict[str, object] = model.evaluate(rows)
    with bs.serve(exported) as server, bs.Client(server.address) as client:
        prediction: bs.Prediction = client.predict("so good")[0]
    published: bs.Publication = bs.publish(exported, to="s3://bucket/models")
    served = bs.label({"stable": exported.version, "canary": None}, servers=["localhost:8500"])
    return f"{prediction.label} {published.url} {run.path} {scores} {served}"


async def ask(address: str) -> tuple[str, ...]:
    async with bs.AsyncClient(address) as client:
        return (await client.predict(["so good"]))[0].labels


print(road([]), asyncio.run(ask("grpc://localhost:8500/model")))
