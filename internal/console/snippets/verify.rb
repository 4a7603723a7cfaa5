require "standardwebhooks"

webhook = StandardWebhooks::Webhook.new(ENV.fetch("WEBHOOK_SECRET"))

headers = %w[webhook-id webhook-timestamp webhook-signature].to_h do |name|
  [name, request.env["HTTP_#{name.upcase.tr("-", "_")}"]]
end
begin
  event = webhook.verify(request.body.read, headers)
rescue StandardWebhooks::WebhookVerificationError
  # answer 401
end
