"""Texts that would do something to a page that does not escape them."""

HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "fish & chips &amp; <b>bold</b>",
    "<!-- <script>",
    "{{ 7 * 7 }} {% raw %}",
    "\" onmouseover='x' \u2028 \u2029 \x00 \x1b[31m",
    "مرحبا بالعالم \u202e gnirts",
    "]]> \\u003c \\",
)
