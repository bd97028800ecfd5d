#!/bin/sh
# See that there is a Chromium for the tests of the built pages: install Debian's where that is possible.
set -u

for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" >/dev/null 2>&1 && exit 0
done

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ]; then
    echo "facekit: installing Chromium for the tests of the built pages"
    apt-get update -qq >/dev/null 2>&1
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1 && exit 0
fi

echo "facekit: no Chromium or Chrome was found; the tests that open the built pages in a browser are skipped."
