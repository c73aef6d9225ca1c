"""Read chats exported from ChatGPT, Discord, Slack, Telegram and WhatsApp as conversations."""
