"""`python -m bert_serving`, the same as the command `bert-serving`."""

from bert_serving.cli.main import main

if __name__ == "__main__":
    main()
