#!/bin/sh
# Write the captions of a clip with nothing but curl and sed: sh describe.sh CLIP [ADDRESS [KEY]]
set -eu
address="${2:-http://127.0.0.1:7860}"
key="Authorization: Bearer ${3:-none}"

path=$(curl -sSf -F "files=@$1" "$address/gradio_api/upload" | sed 's/^\["//; s/"\]$//')
id=$(curl -sSf -H "$key" -H "Content-Type: application/json" "$address/gradio_api/call/v2/describe" \
  -d "{\"clip\": {\"path\": \"$path\", \"meta\": {\"_type\": \"gradio.FileData\"}}, \"kinds\": [\"video\", \"msi\"]}" |
  sed 's/.*"event_id": *"\([^"]*\)".*/\1/')
curl -sSN -H "$key" "$address/gradio_api/call/describe/$id" # progress, then the captions
