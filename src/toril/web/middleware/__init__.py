"""What happens around every request, each as a plain ASGI application, since these are on every request's way."""
