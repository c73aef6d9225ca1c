"""Reader of chats exported from ChatGPT, WhatsApp, Telegram, Discord and Slack."""
