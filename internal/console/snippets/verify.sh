printf '%s.%s.%s' "$id" "$timestamp" "$body" |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(printf %s "${secret#whsec_}" | base64 -d | od -An -vtx1 | tr -d ' \n')" -binary | base64
