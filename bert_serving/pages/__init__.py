"""Self-contained HTML pages: what the analyses found, for people who would rather look than read."""

from bert_serving.evaluation.extras import require

require("pages", ("altair", "jinja2", "vl_convert"), extra="report")
